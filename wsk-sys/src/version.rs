//! The version of the running Windows, as the number that says which entries the dispatch tables have.

use crate::{
    NTDDI_VISTA, NTDDI_WIN7, NTDDI_WIN8, NTDDI_WIN10_RS2, NTDDI_WIN10_RS4, WINDOWS_BUILDS,
};

/// The `NTDDI_VERSION` of the Windows with this build number, which `RtlGetVersion` returns. Pass it to
/// `WskProviderDispatch::new` and to the wrappers of the other tables.
///
/// For a build between two known builds, this is the version of the older one. For a build newer than all known builds, it is the
/// newest version: the tables of such a build are at least as long. For a build older than all known builds, it is 0, as for an
/// unknown version: the wrappers then call only entries that every provider of WSK has.
///
/// ```
/// use wsk_sys::{NTDDI_WIN7, NTDDI_WIN10_RS1, NTDDI_WIN10_NI, ntddi_of_build};
///
/// assert_eq!(ntddi_of_build(7601), NTDDI_WIN7);
/// assert_eq!(ntddi_of_build(14393), NTDDI_WIN10_RS1);
/// assert_eq!(ntddi_of_build(22621), NTDDI_WIN10_NI);
/// assert_eq!(ntddi_of_build(0), 0);
/// ```
#[must_use]
pub const fn ntddi_of_build(build: u32) -> u32 {
    let mut version = 0;
    let mut at = 0;
    while at < WINDOWS_BUILDS.len() && WINDOWS_BUILDS[at].0 <= build {
        version = WINDOWS_BUILDS[at].1;
        at += 1;
    }
    version
}

/// The versions of Windows that have brought entries of dispatch tables, the oldest first.
const VERSIONS_OF_TABLES: [u32; 5] = [
    NTDDI_VISTA,
    NTDDI_WIN7,
    NTDDI_WIN8,
    NTDDI_WIN10_RS2,
    NTDDI_WIN10_RS4,
];

/// The newest `NTDDI_VERSION` that has brought entries of dispatch tables and is not newer than the Windows with this build number. The
/// tables have the same entries as with [`ntddi_of_build`], and a driver that calls this has a shorter table of builds.
///
/// ```
/// use wsk_sys::{NTDDI_WIN7, NTDDI_WIN10_RS4, tables_of_build};
///
/// assert_eq!(tables_of_build(7601), NTDDI_WIN7);
/// assert_eq!(tables_of_build(22621), NTDDI_WIN10_RS4);
/// assert_eq!(tables_of_build(0), 0);
/// ```
#[must_use]
pub const fn tables_of_build(build: u32) -> u32 {
    const BUILDS: [u32; VERSIONS_OF_TABLES.len()] = first_builds(VERSIONS_OF_TABLES);
    let mut version = 0;
    let mut at = 0;
    while at < BUILDS.len() && BUILDS[at] <= build {
        version = VERSIONS_OF_TABLES[at];
        at += 1;
    }
    version
}

/// The first builds of these versions.
const fn first_builds<const N: usize>(versions: [u32; N]) -> [u32; N] {
    let mut builds = [0; N];
    let mut at = 0;
    while at < N {
        let mut row = 0;
        while WINDOWS_BUILDS[row].1 != versions[at] {
            row += 1;
        }
        builds[at] = WINDOWS_BUILDS[row].0;
        at += 1;
    }
    builds
}

#[cfg(test)]
mod tests {
    use super::{VERSIONS_OF_TABLES, ntddi_of_build, tables_of_build};
    use crate::{NTDDI_VISTA, NTDDI_WIN10_RS1, NTDDI_WIN10_RS2, WINDOWS_BUILDS};

    /// The versions are those of the generated tables, so that the same entries are called with either number.
    #[test]
    fn tables_have_the_entries_of_their_version() {
        let text = include_str!("generated/dispatch.rs");
        let since = text.split("since = 0x").skip(1).map(|rest| {
            let digits = rest.split(',').next().unwrap().split('_');
            digits.fold(0, |high, low| {
                high << 16 | u32::from_str_radix(low, 16).unwrap()
            })
        });
        for version in since.clone() {
            assert!(VERSIONS_OF_TABLES.contains(&version), "{version:#010x}");
        }
        for version in VERSIONS_OF_TABLES {
            assert!(since.clone().any(|it| it == version), "{version:#010x}");
        }
        let entries = |version| {
            VERSIONS_OF_TABLES
                .iter()
                .filter(|&&it| it <= version)
                .count()
        };
        for build in 0..30_000 {
            let (exact, tables) = (ntddi_of_build(build), tables_of_build(build));
            assert_eq!(entries(exact), entries(tables), "build {build}");
            assert!(tables <= exact);
        }
    }

    #[test]
    fn builds_between_releases_have_what_the_older_one_has() {
        assert_eq!(ntddi_of_build(6000), NTDDI_VISTA);
        assert_eq!(ntddi_of_build(15_062), NTDDI_WIN10_RS1);
        assert_eq!(ntddi_of_build(15_063), NTDDI_WIN10_RS2);
        assert_eq!(
            ntddi_of_build(u32::MAX),
            WINDOWS_BUILDS[WINDOWS_BUILDS.len() - 1].1
        );
    }

    /// NT 5.2, which some systems with a WSK of Vista's shape say they are.
    #[test]
    fn older_than_wsk_is_older_than_every_entry_that_came_later() {
        assert!(ntddi_of_build(3790) < NTDDI_VISTA);
        assert_eq!(ntddi_of_build(1), 0);
    }
}
