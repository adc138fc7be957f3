//! `NTDDI_VERSION`, the number that identifies a release of Windows in headers: its values, their names, and the first kit of
//! each.

use crate::error::Error;

/// The first Windows with Winsock Kernel. Every table has at least the entries of this release.
pub const VISTA: u32 = 0x0600_0000;

/// The oldest Windows that the bindings support: 10.0.14393, `NTDDI_WIN10_RS1`.
pub const FLOOR: u32 = 0x0A00_0002;

/// A release of Windows: the build of its kit, the name that headers use, and the value.
struct Release {
    build: u32,
    name: &'static str,
    value: u32,
}

const fn release(build: u32, name: &'static str, value: u32) -> Release {
    Release { build, name, value }
}

/// In the order of the builds.
const RELEASES: &[Release] = &[
    release(2195, "NTDDI_WIN2K", 0x0500_0000),
    release(2600, "NTDDI_WINXP", 0x0501_0000),
    release(3790, "NTDDI_WS03", 0x0502_0000),
    release(6000, "NTDDI_VISTA", VISTA),
    release(6001, "NTDDI_VISTASP1", 0x0600_0100),
    release(6002, "NTDDI_VISTASP2", 0x0600_0200),
    release(7600, "NTDDI_WIN7", 0x0601_0000),
    release(9200, "NTDDI_WIN8", 0x0602_0000),
    release(9600, "NTDDI_WINBLUE", 0x0603_0000),
    release(10240, "NTDDI_WIN10", 0x0A00_0000),
    release(10586, "NTDDI_WIN10_TH2", 0x0A00_0001),
    release(14393, "NTDDI_WIN10_RS1", 0x0A00_0002),
    release(15063, "NTDDI_WIN10_RS2", 0x0A00_0003),
    release(16299, "NTDDI_WIN10_RS3", 0x0A00_0004),
    release(17134, "NTDDI_WIN10_RS4", 0x0A00_0005),
    release(17763, "NTDDI_WIN10_RS5", 0x0A00_0006),
    release(18362, "NTDDI_WIN10_19H1", 0x0A00_0007),
    release(19041, "NTDDI_WIN10_VB", 0x0A00_0008),
    release(19645, "NTDDI_WIN10_MN", 0x0A00_0009),
    release(20348, "NTDDI_WIN10_FE", 0x0A00_000A),
    release(22000, "NTDDI_WIN10_CO", 0x0A00_000B),
    release(22621, "NTDDI_WIN10_NI", 0x0A00_000C),
    release(22631, "NTDDI_WIN10_CU", 0x0A00_000D),
    release(25398, "NTDDI_WIN11_ZN", 0x0A00_000E),
    release(25941, "NTDDI_WIN11_GA", 0x0A00_000F),
    release(26100, "NTDDI_WIN11_GE", 0x0A00_0010),
];

/// The value for a kit of this build: that of the newest release that is not newer than the build.
///
/// Returns `None` for a build newer than every known release. Its own headers name the newest release.
#[must_use]
pub fn of_build(build: u32) -> Option<u32> {
    let newest = RELEASES.last()?;
    if build > newest.build {
        return None;
    }
    RELEASES
        .iter()
        .rev()
        .find(|release| release.build <= build)
        .map(|release| release.value)
}

/// The value of the first release that surely has what the kit of this build has: the release of this build, or the next one.
///
/// Returns `None` for a build newer than every known release.
#[must_use]
pub fn since_build(build: u32) -> Option<u32> {
    RELEASES
        .iter()
        .find(|release| release.build >= build)
        .map(|release| release.value)
}

/// The newest known value.
#[must_use]
pub fn newest() -> u32 {
    RELEASES.last().map_or(0, |release| release.value)
}

/// Builds and values of the releases with Winsock Kernel, oldest first.
pub(crate) fn builds() -> impl Iterator<Item = (u32, u32)> {
    RELEASES
        .iter()
        .filter(|release| release.value >= VISTA)
        .map(|release| (release.build, release.value))
}

/// The value of a name that headers compare `NTDDI_VERSION` with. Some headers do not define the name themselves.
#[must_use]
pub fn of_name(name: &str) -> Option<u32> {
    RELEASES
        .iter()
        .find(|release| release.name == name)
        .map(|release| release.value)
}

/// The name of a value, if it has one.
#[must_use]
pub fn name_of(value: u32) -> Option<&'static str> {
    RELEASES
        .iter()
        .find(|release| release.value == value)
        .map(|release| release.name)
}

/// Reads a value from a command line or a condition: `0x0A000003`, `167772163` or `NTDDI_WIN10_RS2`.
///
/// # Errors
///
/// When it is neither a 32-bit number nor a known name.
pub fn parse(text: &str) -> Result<u32, Error> {
    let number = text.trim().trim_end_matches(['u', 'U', 'l', 'L']);
    let value = if let Some(digits) = number
        .strip_prefix("0x")
        .or_else(|| number.strip_prefix("0X"))
    {
        u32::from_str_radix(digits, 16).ok()
    } else {
        number.parse().ok()
    };
    value.or_else(|| of_name(text.trim())).ok_or_else(|| {
        Error::argument(
            text,
            "is not an NTDDI_VERSION: give a number such as 0x0A000003, or a name such as NTDDI_WIN10_RS2",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{RELEASES, of_build, parse, since_build};

    #[test]
    fn releases_are_in_order() {
        assert!(
            RELEASES
                .windows(2)
                .all(|pair| pair[0].build < pair[1].build && pair[0].value < pair[1].value)
        );
    }

    #[test]
    fn a_kit_of_a_build_between_two_releases_has_the_older_value() {
        assert_eq!(of_build(14393), Some(0x0A00_0002));
        assert_eq!(of_build(17700), Some(0x0A00_0005));
        assert_eq!(of_build(99999), None);
        // The older release may lack what such a kit adds.
        assert_eq!(since_build(14393), Some(0x0A00_0002));
        assert_eq!(since_build(17700), Some(0x0A00_0006));
        assert_eq!(since_build(99999), None);
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(parse("0x0A000003").unwrap(), 0x0A00_0003);
        assert_eq!(parse("100794368").unwrap(), 0x0602_0000);
        assert_eq!(parse("NTDDI_WIN10_RS2").unwrap(), 0x0A00_0003);
        for wrong in ["", "0x", "NTDDI_", "0x1_0000_0000", "99999999999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
