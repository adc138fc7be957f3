//! The rules for the binary of a driver, and a check that reports which of them a file breaks.

use std::collections::BTreeSet;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ExportTarget, ImageOptionalHeader, Import, PeFile64};
use rustc_demangle::demangle;

use crate::exports::Exports;

/// A driver to be examined.
#[derive(Debug, Clone)]
pub struct Driver {
    /// The file.
    pub image: Vec<u8>,
    /// The linker's map of it.
    pub map: String,
    /// The limit for its size in bytes, with headers of one sector.
    pub limit: usize,
    /// Whether it contains protocol crates, which format texts, may panic and have tables of functions.
    pub has_crates_of_others: bool,
}

/// Names that no driver may link, in small letters: unwinding.
const BANNED: [&str; 2] = ["unwind", "cxxframehandler"];

/// Names that only protocol crates may link: the panic machinery, and formatting.
pub(crate) const BANNED_FROM_OURS: [&str; 3] = ["core::panicking", "core::fmt", "core::panic"];

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn rule(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        if !holds {
            self.0.push(broken());
        }
    }
}

/// The rules that a driver breaks, in words.
///
/// # Errors
///
/// The file is not a 64-bit PE image, or is damaged.
pub fn problems(driver: &Driver, exports: &Exports) -> Result<Vec<String>, String> {
    let damaged = |error: object::Error| format!("not an image: {error}");
    let file = PeFile64::parse(&*driver.image).map_err(damaged)?;
    let mut problems = Problems::default();
    kind(&file, &mut problems).map_err(damaged)?;
    imports(&file, exports, &mut problems).map_err(damaged)?;
    memory(&file, &mut problems);
    relocations(&file, driver, &mut problems).map_err(damaged)?;
    unwinding(&file, &mut problems).map_err(damaged)?;

    // Windows refuses a driver with a wrong checksum.
    let place = checksum_place(&driver.image)?;
    let said = file.nt_headers().optional_header.check_sum();
    let is = checksum(&driver.image, place);
    problems.rule(said == is, || {
        format!("the checksum is {said:#x} instead of {is:#x}")
    });

    linked(driver, &mut problems);
    // The linker of LLVM 19 leaves room for a header more than there are, which takes one more sector.
    let headers = file.nt_headers().optional_header.size_of_headers() as usize;
    let size = driver.image.len() - headers.saturating_sub(512);
    problems.rule(size <= driver.limit, || {
        format!("{size} bytes are more than {}", driver.limit)
    });
    Ok(problems.0)
}

/// The files that an image imports from, in small letters.
///
/// # Errors
///
/// The file is not a 64-bit PE image, or is damaged.
pub fn imported_files(image: &[u8]) -> Result<BTreeSet<String>, String> {
    let damaged = |error: object::Error| format!("not an image: {error}");
    let file = PeFile64::parse(image).map_err(damaged)?;
    let mut files = BTreeSet::new();
    let Some(table) = file.import_table().map_err(damaged)? else {
        return Ok(files);
    };
    let mut descriptors = table.descriptors().map_err(damaged)?;
    while let Some(descriptor) = descriptors.next().map_err(damaged)? {
        let name = table.name(descriptor.name.get(LE)).map_err(damaged)?;
        files.insert(String::from_utf8_lossy(name).to_lowercase());
    }
    Ok(files)
}

/// A native image whose entry point is `DriverEntry`.
fn kind(file: &PeFile64<'_>, problems: &mut Problems) -> Result<(), object::Error> {
    let header = &file.nt_headers().optional_header;
    let machine = file.nt_headers().file_header.machine.get(LE);
    problems.rule(machine == pe::IMAGE_FILE_MACHINE_AMD64, || {
        format!("machine {machine:#x} is not x86-64")
    });
    let subsystem = header.subsystem();
    problems.rule(subsystem == pe::IMAGE_SUBSYSTEM_NATIVE, || {
        format!("subsystem {subsystem} is not native")
    });

    let entry = header.address_of_entry_point();
    let exports = match file.export_table()? {
        Some(table) => table.exports()?,
        None => Vec::new(),
    };
    let is_entry = exports.iter().any(|export| {
        export.name == Some(b"DriverEntry")
            && matches!(export.target, ExportTarget::Address(address) if address == entry)
    });
    problems.rule(is_entry, || {
        format!("the entry point {entry:#x} is not DriverEntry")
    });
    let is_code = file.section_table().iter().any(|section| {
        let start = section.virtual_address.get(LE);
        section.characteristics.get(LE) & pe::IMAGE_SCN_MEM_EXECUTE != 0
            && (start..start + section.virtual_size.get(LE)).contains(&entry)
    });
    problems.rule(is_code, || {
        format!("the entry point {entry:#x} is not code")
    });
    Ok(())
}

/// Imports only functions that every Windows exports.
fn imports(
    file: &PeFile64<'_>,
    exports: &Exports,
    problems: &mut Problems,
) -> Result<(), object::Error> {
    let mut imported = 0;
    if let Some(table) = file.import_table()? {
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let from = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).to_lowercase();
            problems.rule(exports.knows(&from), || format!("imports from {from}"));
            let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
                imported += 1;
                let import = table.import::<pe::ImageNtHeaders64>(thunk)?;
                let function = match import {
                    Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                    Import::Ordinal(number) => format!("number {number}"),
                };
                problems.rule(exports.has(&from, &function), || {
                    format!("imports {function}, which not every {from} exports")
                });
            }
        }
    }
    problems.rule(imported > 0, || "imports nothing".to_owned());
    Ok(())
}

/// Memory is writable or executable, but never both, and is at addresses that nobody can predict.
fn memory(file: &PeFile64<'_>, problems: &mut Problems) {
    for section in file.section_table().iter() {
        let both = pe::IMAGE_SCN_MEM_WRITE | pe::IMAGE_SCN_MEM_EXECUTE;
        problems.rule(section.characteristics.get(LE) & both != both, || {
            let name = String::from_utf8_lossy(section.raw_name());
            format!("section {name} is writable and executable")
        });
    }
    let bits = file.nt_headers().optional_header.dll_characteristics();
    for (bit, name) in [
        (
            pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
            "HIGH_ENTROPY_VA",
        ),
        (pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
        (pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
    ] {
        problems.rule(bits & bit != 0, || format!("{name} is not set"));
    }
    let characteristics = file.nt_headers().file_header.characteristics.get(LE);
    let stripped = characteristics & pe::IMAGE_FILE_RELOCS_STRIPPED != 0;
    problems.rule(!stripped, || "the relocations are stripped".to_owned());
}

/// Windows can load the driver anywhere: it relocates each absolute address, and nothing else. A driver of ours has none of them: its
/// code finds everything relative to itself.
fn relocations(
    file: &PeFile64<'_>,
    driver: &Driver,
    problems: &mut Problems,
) -> Result<(), object::Error> {
    let mut relocated = BTreeSet::new();
    let sections = file.section_table();
    if let Some(mut blocks) = file
        .data_directories()
        .relocation_blocks(file.data(), &sections)?
    {
        while let Some(block) = blocks.next()? {
            // The others fill a block up.
            let addresses = block.filter(|it| it.typ == pe::IMAGE_REL_BASED_DIR64);
            relocated.extend(addresses.map(|it| it.virtual_address));
        }
    }
    let header = &file.nt_headers().optional_header;
    let base = header.image_base();
    let end = base + u64::from(header.size_of_image());
    let mut addresses = BTreeSet::new();
    for section in sections.iter() {
        let start = section.virtual_address.get(LE);
        let bytes = section.pe_data(file.data())?;
        addresses.extend(
            (start..)
                .zip(bytes.windows(8))
                .filter(|(_, bytes)| {
                    let word = bytes
                        .iter()
                        .rfold(0, |word, byte| word << 8 | u64::from(*byte));
                    (base..end).contains(&word)
                })
                .map(|(at, _)| at),
        );
    }
    for at in addresses.difference(&relocated) {
        problems.rule(false, || format!("the address at {at:#x} is not relocated"));
    }
    for at in relocated.difference(&addresses) {
        problems.rule(false, || {
            format!("relocates {at:#x}, where there is no address")
        });
    }
    problems.rule(driver.has_crates_of_others || addresses.is_empty(), || {
        format!("{} addresses are absolute", addresses.len())
    });
    Ok(())
}

/// The exception directory has the functions in order, with that of the entry point: Windows searches it when it walks the stack. It
/// is constant.
fn unwinding(file: &PeFile64<'_>, problems: &mut Problems) -> Result<(), object::Error> {
    let sections = file.section_table();
    let mut starts = Vec::new();
    if let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) {
        // Of each function its start, its end and its unwind information.
        let (functions, _) = directory.data(file.data(), &sections)?.as_chunks::<12>();
        starts.extend(
            functions
                .iter()
                .map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]])),
        );
        let at = directory.virtual_address.get(LE);
        let constant = sections
            .section_containing(at)
            .is_some_and(|section| section.characteristics.get(LE) & pe::IMAGE_SCN_MEM_WRITE == 0);
        problems.rule(constant, || {
            "the exception directory is writable".to_owned()
        });
    }
    let entry = file.nt_headers().optional_header.address_of_entry_point();
    let complete = starts.is_sorted() && starts.contains(&entry);
    problems.rule(complete, || {
        "the exception directory lacks DriverEntry".to_owned()
    });
    Ok(())
}

/// Contains nothing that a driver does not need.
fn linked(driver: &Driver, problems: &mut Problems) {
    let symbols = symbols(&driver.map);
    let from_ours = BANNED_FROM_OURS
        .iter()
        .filter(|_| !driver.has_crates_of_others);
    let all_banned: Vec<_> = BANNED.iter().chain(from_ours).collect();
    let plausible = symbols.len() > 20 && symbols.iter().any(|symbol| symbol == "DriverEntry");
    problems.rule(plausible, || {
        format!("the map has {} symbols only", symbols.len())
    });
    for symbol in symbols {
        // The panic handler is allowed: whatever panics calls it by this name.
        if driver.has_crates_of_others && symbol.ends_with("rust_begin_unwind") {
            continue;
        }
        let symbol_in_small = symbol.to_lowercase();
        let banned = all_banned
            .iter()
            .find(|banned| symbol_in_small.contains(**banned));
        if let Some(banned) = banned {
            problems.rule(false, || {
                format!("links {symbol}: nothing of {banned} may be in a driver")
            });
        }
    }
}

/// The names in a linker's map, readable.
fn symbols(map: &str) -> Vec<String> {
    map.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (section, _) = words.next()?.split_once(':')?;
            let is_line =
                section.len() == 4 && section.bytes().all(|byte| byte.is_ascii_hexdigit());
            let name = words.next().filter(|_| is_line)?;
            // Lines about sections have a length there.
            let is_length = name.ends_with('H') && name.len() == 9;
            (!is_length).then(|| format!("{:#}", demangle(name)))
        })
        .collect()
}

/// The position of the checksum.
pub(crate) fn checksum_place(image: &[u8]) -> Result<usize, String> {
    Ok(optional_header(image)? + 64)
}

/// The position of the optional header.
pub(crate) fn optional_header(image: &[u8]) -> Result<usize, String> {
    let bytes = image.get(0x3C..0x40).ok_or("no image")?;
    let header = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    // The signature and the file header come before it.
    Ok(header as usize + 4 + 20)
}

/// The checksum of an image: the sum of its 16-bit words with their carries, without the four bytes of the checksum itself, plus
/// its length.
pub(crate) fn checksum(image: &[u8], place: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, word) in image.chunks(2).enumerate() {
        if (place..place + 4).contains(&(index * 2)) {
            continue;
        }
        let word = u32::from(word[0]) | u32::from(word.get(1).copied().unwrap_or(0)) << 8;
        sum += word;
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum.wrapping_add(u32::try_from(image.len()).unwrap_or(u32::MAX))
}
