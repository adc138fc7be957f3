//! A rule that was never broken may not be checked at all. So each rule is broken here, in a copy of a good driver, and the check
//! must report it.

use crate::exports::Exports;
use crate::image::{self, Driver, checksum, checksum_place, optional_header};

/// A way to spoil a driver, and the report that it must cause.
struct Mutation {
    says: &'static str,
    spoil: fn(&mut Driver) -> Result<(), String>,
}

/// The report about absolute addresses, which only protocol crates may have.
const ADDRESSES: &str = "addresses are absolute";

const MUTATIONS: &[Mutation] = &[
    Mutation {
        says: "is not x86-64",
        // The file header comes before the optional header.
        spoil: |driver| write(driver, -20, &0xAA64_u16.to_le_bytes()),
    },
    Mutation {
        says: "is not native",
        spoil: |driver| write(driver, 68, &[3, 0]),
    },
    Mutation {
        says: "is not DriverEntry",
        spoil: |driver| add(driver, 16, 1),
    },
    Mutation {
        says: "is not code",
        spoil: |driver| write(driver, 16, &[0; 4]),
    },
    Mutation {
        says: "imports from netix.sys",
        spoil: |driver| replace(driver, b"netio.sys\0", b"netix.sys\0"),
    },
    Mutation {
        says: "imports WskRegistez",
        spoil: |driver| replace(driver, b"WskRegister\0", b"WskRegistez\0"),
    },
    Mutation {
        says: "imports nothing",
        spoil: |driver| write(driver, 112 + 8, &[0; 8]),
    },
    Mutation {
        says: "is writable and executable",
        // The last byte of the first section's header.
        spoil: |driver| write(driver, 240 + 39, &[0xE0]),
    },
    Mutation {
        says: "HIGH_ENTROPY_VA is not set",
        spoil: |driver| clear(driver, 70, 0x20),
    },
    Mutation {
        says: "DYNAMIC_BASE is not set",
        spoil: |driver| clear(driver, 70, 0x40),
    },
    Mutation {
        says: "NX_COMPAT is not set",
        spoil: |driver| clear(driver, 71, 0x01),
    },
    Mutation {
        says: "the relocations are stripped",
        // The characteristics are the last member of the file header.
        spoil: |driver| set(driver, -2, 0x01),
    },
    Mutation {
        says: "is not relocated",
        spoil: |driver| write_constant(driver, &0x1_8000_1000_u64.to_le_bytes()),
    },
    Mutation {
        says: "where there is no address",
        spoil: |driver| {
            // A block for the page at 0x1000 with one address, at the start of the code.
            write_constant(driver, &[0, 0x10, 0, 0, 12, 0, 0, 0, 0, 0xA0, 0, 0])?;
            let at = second_section(driver)?.0;
            write(driver, 112 + 5 * 8, &at.to_le_bytes())?;
            write(driver, 112 + 5 * 8 + 4, &12_u32.to_le_bytes())
        },
    },
    Mutation {
        says: ADDRESSES,
        spoil: |driver| write_constant(driver, &0x1_8000_1000_u64.to_le_bytes()),
    },
    Mutation {
        says: "the exception directory lacks DriverEntry",
        spoil: |driver| write(driver, 112 + 3 * 8, &[0; 8]),
    },
    Mutation {
        says: "the exception directory is writable",
        // The last byte of the second section's header: `.rdata`.
        spoil: |driver| write(driver, 240 + 40 + 39, &[0xC0]),
    },
    Mutation {
        says: "the checksum is",
        spoil: |driver| {
            let place = checksum_place(&driver.image)?;
            driver.image[place] ^= 1;
            Ok(())
        },
    },
    Mutation {
        says: "nothing of core::panicking",
        spoil: |driver| {
            link(driver, "_RNvNtCs5pJ0kYvgkRf_4core9panicking9panic_fmt");
            Ok(())
        },
    },
    Mutation {
        says: "nothing of core::fmt",
        spoil: |driver| {
            link(
                driver,
                "_ZN4core3fmt9Formatter12pad_integral17h0123456789abcdefE",
            );
            Ok(())
        },
    },
    Mutation {
        says: "nothing of unwind",
        spoil: |driver| {
            link(driver, "_Unwind_Resume");
            Ok(())
        },
    },
    Mutation {
        says: "symbols only",
        spoil: |driver| {
            driver.map.clear();
            Ok(())
        },
    },
    Mutation {
        says: "bytes are more than",
        spoil: |driver| {
            driver.limit = driver.image.len() / 2;
            Ok(())
        },
    },
];

/// Breaks each rule in a copy of a driver that keeps all of them. Returns the number of rules.
///
/// # Errors
///
/// The rules whose break was not reported.
pub fn every_rule_can_be_broken(good: &Driver, exports: &Exports) -> Result<usize, String> {
    let mut unnoticed = Vec::new();
    let applies = |says: &str| {
        let of_ours = image::BANNED_FROM_OURS
            .iter()
            .any(|banned| says.ends_with(banned))
            || says == ADDRESSES;
        !(of_ours && good.has_crates_of_others)
    };
    let mutations = MUTATIONS.iter().filter(|mutation| applies(mutation.says));
    let count = mutations.clone().count();
    for Mutation { says, spoil } in mutations {
        let mut driver = good.clone();
        spoil(&mut driver)?;
        if *says != "the checksum is" {
            let place = checksum_place(&driver.image)?;
            let sum = checksum(&driver.image, place);
            driver.image[place..place + 4].copy_from_slice(&sum.to_le_bytes());
        }
        let problems = image::problems(&driver, exports)?;
        if !problems.iter().any(|problem| problem.contains(says)) {
            unnoticed.push(format!(
                "the check did not report {says:?}, but {problems:?}"
            ));
        }
    }
    if unnoticed.is_empty() {
        Ok(count)
    } else {
        Err(unnoticed.join("\n"))
    }
}

/// Writes bytes at an offset from the optional header.
fn write(driver: &mut Driver, place: isize, bytes: &[u8]) -> Result<(), String> {
    let start = optional_header(&driver.image)?
        .checked_add_signed(place)
        .ok_or("outside of the image")?;
    let to = driver.image.get_mut(start..start + bytes.len());
    to.ok_or("outside of the image")?.copy_from_slice(bytes);
    Ok(())
}

/// The address and the offset in the file of the second section: `.rdata`.
fn second_section(driver: &Driver) -> Result<(u32, u32), String> {
    let header = optional_header(&driver.image)? + 240 + 40;
    let number = |at: usize| {
        let bytes = driver.image.get(header + at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let both = number(12).zip(number(20));
    both.ok_or_else(|| "outside of the image".to_owned())
}

/// Writes bytes at the beginning of the constants.
fn write_constant(driver: &mut Driver, bytes: &[u8]) -> Result<(), String> {
    let start = second_section(driver)?.1 as usize;
    let to = driver.image.get_mut(start..start + bytes.len());
    to.ok_or("outside of the image")?.copy_from_slice(bytes);
    Ok(())
}

fn set(driver: &mut Driver, place: isize, bits: u8) -> Result<(), String> {
    let place = optional_header(&driver.image)?.checked_add_signed(place);
    let byte = place.and_then(|place| driver.image.get_mut(place));
    *byte.ok_or("outside of the image")? |= bits;
    Ok(())
}

fn add(driver: &mut Driver, place: usize, number: u8) -> Result<(), String> {
    let place = optional_header(&driver.image)? + place;
    driver.image[place] = driver.image[place].wrapping_add(number);
    Ok(())
}

fn clear(driver: &mut Driver, place: usize, bits: u8) -> Result<(), String> {
    let place = optional_header(&driver.image)? + place;
    driver.image[place] &= !bits;
    Ok(())
}

fn replace(driver: &mut Driver, from: &[u8], to: &[u8]) -> Result<(), String> {
    let place = |image: &[u8]| image.windows(from.len()).position(|window| window == from);
    let mut found = place(&driver.image).ok_or("not in the image")?;
    // All occurrences, because a text of the driver may be the same.
    loop {
        driver.image[found..found + to.len()].copy_from_slice(to);
        match place(&driver.image) {
            Some(next) => found = next,
            None => return Ok(()),
        }
    }
}

/// Adds a symbol to the map, as if the driver linked it.
fn link(driver: &mut Driver, symbol: &str) {
    let line = [
        " 0001:00000000       ",
        symbol,
        "     0000000180001000     x.o\n",
    ];
    driver.map.extend(line);
}
