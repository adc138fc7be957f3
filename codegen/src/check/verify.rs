//! Compares the generated code with clang's own numbers: the size, alignment and offsets of each record, and the value of each
//! constant. clang computes them for the target, and rustc computes them from the generated code. bindgen takes no part.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clang::{Entity, EntityKind, EntityVisitResult, TranslationUnit, Type, TypeKind};
use serde_json::Value;

use crate::check::interface::{Interface, Kind, Record};
use crate::emit::generate::{Options, generate};
use crate::emit::output::Output;
use crate::error::Error;
use crate::find::shipped;
use crate::find::source::{Arch, Language, Source};
use crate::find::{checksum, libclang};
use crate::read::facts::Reading;
use crate::read::macros::{self, Candidates, Constants, SAMPLES, argument, call_name};
use crate::read::names::public_names;
use crate::read::{parse, reader};

/// One number that both compilers must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The quantity in words.
    pub what: String,
    /// A Rust expression of type `i128`.
    pub rust: String,
    /// clang's number.
    pub clang: i128,
}

/// The comparison for one target of rustc.
#[derive(Debug)]
pub struct Comparison {
    /// The architecture that clang was asked about.
    pub arch: Arch,
    /// The target that rustc compiled for.
    pub target: String,
    /// How many numbers were compared.
    pub checks: usize,
    /// The numbers that differ, in words.
    pub differences: Vec<String>,
}

/// The result of a verification.
#[derive(Debug)]
pub struct Verification {
    /// The comparisons.
    pub comparisons: Vec<Comparison>,
    /// The targets for which rustc is not installed.
    pub skipped: Vec<String>,
}

impl Verification {
    /// The count of numbers that differ.
    #[must_use]
    pub fn differences(&self) -> usize {
        self.comparisons
            .iter()
            .map(|comparison| comparison.differences.len())
            .sum()
    }
}

/// Generates from `source` and compares the result with clang's numbers, for the host and each Windows target.
///
/// # Errors
///
/// When nothing can be generated, or when rustc cannot compile the output at all.
pub fn verify(source: &Source, options: &Options) -> Result<Verification, Error> {
    let output = generate(source, options)?;
    verify_output(source, options, &output)
}

/// Compares `output` with clang's numbers for `source`, of which it need not be generated. Only items that both have are
/// compared.
///
/// # Errors
///
/// When the headers cannot be read, or rustc cannot compile the output at all.
pub fn verify_output(
    source: &Source,
    options: &Options,
    output: &Output,
) -> Result<Verification, Error> {
    let interface = Interface::of_output(output)?;
    let folder = scaffold(output)?;
    let mut verification = Verification {
        comparisons: Vec::new(),
        skipped: Vec::new(),
    };
    for &arch in &options.arches {
        let checks = checks(source, arch, &interface)?;
        for target in targets(arch)? {
            let Some(compiler) = Compiler::find(&target)? else {
                verification.skipped.push(target);
                continue;
            };
            let differences = compare(folder.path(), &compiler, &checks)?;
            verification.comparisons.push(Comparison {
                arch,
                target,
                checks: checks.len(),
                differences,
            });
        }
    }
    Ok(verification)
}

/// rustc's targets for an architecture: the Windows target, and the host if it has the same architecture.
fn targets(arch: Arch) -> Result<Vec<String>, Error> {
    let host = host()?;
    let mut targets = vec![arch.triple().to_owned()];
    if host.starts_with(arch.cfg()) && host != arch.triple() {
        targets.insert(0, host);
    }
    Ok(targets)
}

/// The rustc that cargo runs, or else the first one on the path.
fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Debian's rustc: Debian packages the sources of `core`, so that it compiles for other targets without rustup.
const DEBIAN: &str = "/usr/bin/rustc";

/// A rustc that can compile for a target.
struct Compiler {
    program: OsString,
    target: String,
    /// The folder with `core` for the target, if the compiler does not have it itself.
    core: Option<PathBuf>,
}

impl Compiler {
    /// Finds a rustc that has `core` for the target, or else its sources.
    fn find(target: &str) -> Result<Option<Self>, Error> {
        let mut programs = vec![rustc()];
        if Path::new(DEBIAN).is_file() {
            programs.push(DEBIAN.into());
        }
        let compiler = |program: &OsString, core| Self {
            program: program.clone(),
            target: target.to_owned(),
            core,
        };
        for program in &programs {
            if installed(program, target)? {
                return Ok(Some(compiler(program, None)));
            }
        }
        for program in &programs {
            if let Some(library) = sources(program)? {
                let core = core(program, &library, target)?;
                return Ok(Some(compiler(program, Some(core))));
            }
        }
        Ok(None)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--target", &self.target]);
        if let Some(core) = &self.core {
            command.arg("-L").arg(core).env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

/// The folder with the sources of the standard library, if the compiler has them.
fn sources(program: &OsString) -> Result<Option<PathBuf>, Error> {
    let sysroot = run(Command::new(program).args(["--print", "sysroot"]))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let library = sysroot.join("lib/rustlib/src/rust/library");
    Ok(library.join("core/src/lib.rs").is_file().then_some(library))
}

/// Compiles `core` for the target as far as type checking needs it, once per compiler, and returns the folder.
fn core(program: &OsString, library: &Path, target: &str) -> Result<PathBuf, Error> {
    let version = run(Command::new(program).arg("-vV"))?;
    let version = checksum::of_bytes(&version.stdout);
    let built = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let built = built.or_else(|| Some(shipped::repository()?.join("target")));
    let cache = built.map_or_else(
        || std::env::temp_dir().join("wsk-codegen-core"),
        |built| built.join("core"),
    );
    let folder = cache.join(format!("{target}-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&cache).map_err(|error| Error::io(&cache, error))?;
    let made = tempfile::tempdir_in(&cache).map_err(|error| Error::io(&cache, error))?;
    // rustc looks for this crate in every build. It contains only code to link, so an empty one will do.
    let builtins = made.path().join("builtins.rs");
    write(
        &builtins,
        "#![allow(internal_features)]\n#![feature(compiler_builtins, no_core)]\n#![compiler_builtins]\n#![no_core]\n",
    )?;
    let crates = [
        ("core", library.join("core/src/lib.rs")),
        ("compiler_builtins", builtins),
    ];
    for (name, root) in crates {
        let output = run(Command::new(program)
            .args(["--crate-name", name, "--crate-type", "lib"])
            .args(["--edition", "2024", "--cap-lints", "allow"])
            .args(["--emit", "metadata", "--target", target])
            .arg("-Zforce-unstable-if-unmarked")
            .arg("--out-dir")
            .arg(made.path())
            .arg(root)
            .env("RUSTC_BOOTSTRAP", "1"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Rustc(format!(
                "{name} does not compile for {target}:\n{said}"
            )));
        }
    }
    // Another process may have made the folder in the meantime.
    match std::fs::rename(made.path(), &folder) {
        Err(error) if !folder.is_dir() => Err(Error::io(&folder, error)),
        _ => Ok(folder),
    }
}

fn run(command: &mut Command) -> Result<std::process::Output, Error> {
    command
        .output()
        .map_err(|error| Error::Rustc(format!("could not be run: {error}")))
}

fn host() -> Result<String, Error> {
    let version = run(Command::new(rustc()).arg("-vV"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Error::Rustc("-vV prints no host".to_owned()))
}

fn installed(program: &OsString, target: &str) -> Result<bool, Error> {
    let found = run(Command::new(program).args(["--print", "target-libdir", "--target", target]))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    Ok(found.status.success() && folder.is_dir())
}

/// The part of `wsk-sys` that is written by hand and that the generated files need.
const AROUND: &str = "#![no_std]
#![allow(warnings)]
macro_rules! zeroed_default { ($($record:ident),* $(,)?) => {}; }
pub(crate) use zeroed_default;
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NTSTATUS(pub i32);
mod generated;
pub use generated::*;
const fn bits(bytes: &[u8]) -> i128 {
    let (mut first, mut count, mut at) = (-1, 0, 0);
    while at < bytes.len() * 8 {
        if bytes[at / 8] >> (at % 8) & 1 == 1 {
            if first < 0 { first = at as i128; }
            count += 1;
        }
        at += 1;
    }
    first * 256 + count
}
mod checks;
";

/// Makes a crate around the generated files, in a folder of its own.
fn scaffold(output: &Output) -> Result<tempfile::TempDir, Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::io(std::env::temp_dir(), error))?;
    output.write(&folder.path().join("generated"))?;
    write(&folder.path().join("lib.rs"), AROUND)?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| Error::io(path, error))
}

/// Lets rustc compute every number. Returns the ones that differ from clang's.
fn compare(folder: &Path, compiler: &Compiler, checks: &[Check]) -> Result<Vec<String>, Error> {
    let mut text = String::from("use super::*;\nuse core::mem::{align_of, offset_of, size_of};\n");
    for (index, check) in checks.iter().enumerate() {
        let _ = writeln!(
            text,
            "const _: () = assert!(({}) == {}, \"check {index}\");",
            check.rust, check.clang
        );
    }
    write(&folder.join("checks.rs"), &text)?;
    let mut failed = messages(folder, compiler, "check ")?;
    failed.sort_unstable();
    failed.dedup();
    let checks = failed.iter().filter_map(|&index| checks.get(index));
    checks
        .map(|check| difference(folder, compiler, check))
        .collect()
}

/// rustc's number where it differs from clang's. It is the length of an array in an error message of rustc.
fn difference(folder: &Path, compiler: &Compiler, check: &Check) -> Result<String, Error> {
    let text = format!(
        "use super::*;\nuse core::mem::{{align_of, offset_of, size_of}};\n\
         const NUMBER: i128 = {};\nstatic FOUND: [u8; 0] = [0; NUMBER.unsigned_abs() as usize];\n",
        check.rust
    );
    write(&folder.join("checks.rs"), &text)?;
    let output = compile(folder, compiler)?;
    let found = output.lines().find_map(|line| {
        let (_, number) = line
            .split_once("found an array with a size of ")
            .or_else(|| line.split_once("found one with a size of "))?;
        Some(
            number
                .chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>(),
        )
    });
    let found = found.unwrap_or_else(|| "another number".to_owned());
    Ok(format!(
        "{}: clang {}, rustc {found}",
        check.what, check.clang
    ))
}

/// The indices after `prefix` in rustc's messages. Any other error means that the code does not compile.
fn messages(folder: &Path, compiler: &Compiler, prefix: &str) -> Result<Vec<usize>, Error> {
    let output = compile(folder, compiler)?;
    let mut indices = Vec::new();
    let mut others = Vec::new();
    for line in output.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if message["level"] != "error" {
            continue;
        }
        let rendered = message["rendered"].as_str().unwrap_or_default();
        let index = rendered.split_once(prefix).map(|(_, rest)| rest);
        let index = index.map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        });
        match index.and_then(|digits| digits.parse().ok()) {
            Some(index) => indices.push(index),
            None if rendered.contains("aborting due to") => {}
            None => others.push(rendered.to_owned()),
        }
    }
    match others.first() {
        Some(first) => Err(Error::Rustc(format!(
            "the generated code does not compile for {}:\n{first}",
            compiler.target
        ))),
        None => Ok(indices),
    }
}

fn compile(folder: &Path, compiler: &Compiler) -> Result<String, Error> {
    let output = run(compiler
        .command()
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--crate-name",
            "wsk_codegen_verify",
        ])
        .args(["--emit", "metadata", "--error-format", "json"])
        .arg("--out-dir")
        .arg(folder)
        .arg(folder.join("lib.rs")))?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// clang's numbers for every item of the interface that is in the headers.
fn checks(source: &Source, arch: Arch, interface: &Interface) -> Result<Vec<Check>, Error> {
    let clang = libclang::load()?;
    let ours: Option<Reading> = if source.is_kit() {
        let headers = Source::ours()?;
        Some(reader::read_ours(&clang, &headers, arch)?)
    } else {
        None
    };
    let candidates = Candidates::find(source, ours.as_ref().map(|ours| &ours.constants))?;
    let reading = reader::read(&clang, source, arch, ours.as_ref())?;
    let probes = candidates.probes(Language::Cpp);
    parse::with_unit(&clang, source, (arch, Language::Cpp), &probes, |unit| {
        let constants = macros::values(unit)?;
        let oracle = Oracle {
            arch,
            interface,
            types: types(unit),
        };
        let mut checks = Vec::new();
        for (name, item) in &interface.items {
            let Some(name) = oracle.name(name) else {
                continue;
            };
            match &item.kind {
                Kind::Record(record) => oracle.record(name, record, &mut checks),
                Kind::Enumeration { members, .. } => oracle.enumeration(name, members, &mut checks),
                Kind::Constant { ty, .. } => {
                    // The members of an unnamed enumeration have no probe.
                    let constant = constants.get(name).or_else(|| reading.constants.get(name));
                    if let Some(constant) = constant {
                        checks.push(value(name, ty, constant.value));
                    }
                }
                Kind::Macro { signature, .. } => calls(
                    name,
                    &signature.parameters,
                    &signature.output,
                    &constants,
                    &mut checks,
                ),
                _ => {}
            }
        }
        Ok(checks)
    })
}

/// A constant's value, cut to the size of its Rust type.
fn value(name: &str, ty: &str, clang: i128) -> Check {
    let rust = if ty == "NTSTATUS" {
        format!("{name}.0")
    } else {
        name.to_owned()
    };
    let bits = match ty {
        "u8" | "i8" => 8,
        "u16" | "i16" => 16,
        "u64" | "i64" | "usize" | "isize" => 64,
        _ => 32,
    };
    let mask = (1_i128 << bits) - 1;
    // A value that does not fit is not cut, so that it differs.
    let fits = clang >= -(1 << (bits - 1)) && clang <= mask;
    let clang = if fits { clang & mask } else { clang };
    Check {
        what: format!("value of {name}"),
        rust: format!("{rust} as i128 & {mask}"),
        clang,
    }
}

fn calls(
    name: &str,
    parameters: &[(String, String)],
    output: &str,
    constants: &Constants,
    checks: &mut Vec<Check>,
) {
    for (index, sample) in SAMPLES.iter().enumerate() {
        let arguments: Vec<u32> = (0..parameters.len())
            .map(|place| argument(*sample, place))
            .collect();
        let fit = arguments
            .iter()
            .zip(parameters)
            .all(|(argument, (_, ty))| match ty.as_str() {
                "u8" => u8::try_from(*argument).is_ok(),
                "u16" => u16::try_from(*argument).is_ok(),
                _ => true,
            });
        if let (true, Some(constant)) = (fit, constants.get(&call_name(name, index))) {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let call = format!("{name}({})", arguments.join(", "));
            checks.push(value(&call, output, constant.value));
        }
    }
}

/// The types of the headers by public name.
fn types<'u>(unit: &'u TranslationUnit<'_>) -> BTreeMap<String, Type<'u>> {
    let mut typedefs = Vec::new();
    let mut tags = BTreeMap::new();
    let mut types = BTreeMap::new();
    unit.get_entity().visit_children(|entity: Entity<'u>, _| {
        match entity.get_kind() {
            EntityKind::LinkageSpec | EntityKind::UnexposedDecl => {
                return EntityVisitResult::Recurse;
            }
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::EnumDecl
                if entity.is_definition() =>
            {
                if let (Some(name), Some(ty)) = (entity.get_name(), entity.get_type()) {
                    tags.insert(name, ty);
                }
            }
            EntityKind::TypedefDecl => {
                if let (Some(name), Some(ty)) =
                    (entity.get_name(), entity.get_typedef_underlying_type())
                {
                    let canonical = ty.get_canonical_type();
                    let tag = canonical
                        .get_declaration()
                        .and_then(|declaration| declaration.get_name());
                    if let (TypeKind::Record | TypeKind::Enum, Some(tag)) =
                        (canonical.get_kind(), tag)
                    {
                        typedefs.push((tag, name.clone()));
                    }
                    types.insert(name, canonical);
                }
            }
            _ => {}
        }
        EntityVisitResult::Continue
    });
    for (tag, public) in public_names(&typedefs) {
        if let Some(ty) = tags.get(&tag) {
            types.insert(public, *ty);
        }
    }
    for (tag, ty) in tags {
        types.entry(tag).or_insert(ty);
    }
    types
}

struct Oracle<'o> {
    arch: Arch,
    interface: &'o Interface,
    types: BTreeMap<String, Type<'o>>,
}

impl Oracle<'_> {
    /// The name of an item, if the item exists on this architecture.
    fn name<'n>(&self, name: &'n str) -> Option<&'n str> {
        match name.split_once(" (") {
            None => Some(name),
            Some((name, arch)) => (arch.trim_end_matches(')') == self.arch.cfg()).then_some(name),
        }
    }

    fn record(&self, name: &str, record: &Record, checks: &mut Vec<Check>) {
        let Some(ty) = self.types.get(name).filter(|_| !record.members.is_empty()) else {
            return;
        };
        if let (Ok(size), Ok(align)) = (ty.get_sizeof(), ty.get_alignof()) {
            checks.push(number(
                format!("size of {name}"),
                &format!("size_of::<{name}>()"),
                size,
            ));
            checks.push(number(
                format!("alignment of {name}"),
                &format!("align_of::<{name}>()"),
                align,
            ));
        }
        self.members(name, record, "", *ty, 0, checks);
    }

    /// Checks the members of `record`, which is at `path` in `outer`. In C, the members of an unnamed record are members of the
    /// outer one.
    fn members(
        &self,
        outer: &str,
        record: &Record,
        path: &str,
        ty: Type<'_>,
        base: usize,
        checks: &mut Vec<Check>,
    ) {
        self.bits(outer, record, path, ty, base, checks);
        for member in &record.members {
            let path = if path.is_empty() {
                member.name.clone()
            } else {
                format!("{path}.{}", member.name)
            };
            let inner = self.interface.items.get(&member.ty).map(|item| &item.kind);
            let inner = match inner {
                Some(Kind::Record(inner)) if member.ty.starts_with(&format!("{outer}_")) => {
                    Some(inner)
                }
                _ => None,
            };
            if is_unnamed(&member.name) {
                if let Some(inner) = inner {
                    self.members(outer, inner, &path, ty, base, checks);
                }
                continue;
            }
            let c_name = member.name.strip_prefix("r#").unwrap_or(&member.name);
            let c_name = if c_name == "type_" { "type" } else { c_name };
            let Ok(bits) = ty.get_offsetof(c_name) else {
                continue;
            };
            let offset = base + bits / 8;
            checks.push(number(
                format!("offset of {outer}.{path}"),
                &format!("offset_of!({outer}, {path})"),
                offset,
            ));
            let field = ty
                .get_fields()
                .unwrap_or_default()
                .into_iter()
                .find(|field| field.get_name().as_deref() == Some(c_name));
            if let (Some(inner), Some(field)) = (inner, field.and_then(|field| field.get_type())) {
                self.members(
                    outer,
                    inner,
                    &path,
                    field.get_canonical_type(),
                    offset,
                    checks,
                );
            }
        }
    }

    /// Checks the bitfields of `record`, which is at `path` in `outer`: which bits does the setter write?
    fn bits(
        &self,
        outer: &str,
        record: &Record,
        path: &str,
        ty: Type<'_>,
        base: usize,
        checks: &mut Vec<Check>,
    ) {
        let Some(Ok(size)) = self.types.get(outer).map(Type::get_sizeof) else {
            return;
        };
        for bitfield in &record.bitfields {
            let c_name = bitfield.name.trim_end_matches('_');
            let c_name = if ty.get_offsetof(&bitfield.name).is_ok() {
                bitfield.name.as_str()
            } else {
                c_name
            };
            let Some(width) = width_of(ty, c_name, DEPTH) else {
                continue;
            };
            let Ok(bit) = ty.get_offsetof(c_name) else {
                continue;
            };
            let place = if path.is_empty() {
                String::new()
            } else {
                format!("{path}.")
            };
            let name = &bitfield.name;
            checks.push(Check {
                what: format!("bits of {outer}.{place}{name}, first times 256 plus how many"),
                rust: format!(
                    "{{ let mut all = core::mem::MaybeUninit::<{outer}>::zeroed(); \
                     unsafe {{ (*all.as_mut_ptr()).{place}set_{name}(!0) }}; \
                     bits(unsafe {{ &*all.as_ptr().cast::<[u8; {size}]>() }}) }}"
                ),
                clang: i128::try_from((base * 8 + bit) * 256 + width).unwrap_or(i128::MAX),
            });
        }
    }

    fn enumeration(&self, name: &str, members: &BTreeMap<String, i128>, checks: &mut Vec<Check>) {
        let Some(declaration) = self.types.get(name).and_then(Type::get_declaration) else {
            return;
        };
        if let Ok(size) = self.types[name].get_sizeof() {
            checks.push(number(
                format!("size of {name}"),
                &format!("size_of::<{name}>()"),
                size,
            ));
        }
        for member in declaration.get_children() {
            if let (Some(member), Some((value, _))) =
                (member.get_name(), member.get_enum_constant_value())
                && members.contains_key(&member)
            {
                checks.push(Check {
                    what: format!("value of {name}::{member}"),
                    rust: format!("{name}::{member}.0 as i128"),
                    clang: value.into(),
                });
            }
        }
    }
}

/// A limit for the nesting of records. No header comes near it.
const DEPTH: u32 = 32;

/// The width of a bitfield in bits, in this record or an unnamed one inside it.
fn width_of(record: Type<'_>, name: &str, depth: u32) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    record.get_fields()?.into_iter().find_map(|field| {
        match field.get_name().filter(|name| !name.is_empty()) {
            Some(found) if found == name => field.get_bit_field_width(),
            Some(_) => None,
            None => width_of(field.get_type()?.get_canonical_type(), name, depth),
        }
    })
}

fn number(what: String, rust: &str, clang: usize) -> Check {
    Check {
        what,
        rust: format!("{rust} as i128"),
        clang: i128::try_from(clang).unwrap_or(i128::MAX),
    }
}

/// Whether the generator made up the name of a member.
fn is_unnamed(name: &str) -> bool {
    [
        "Anonymous",
        "Bitfield",
        "_reserved_",
        "__bindgen_",
        "_bindgen_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}
