//! The version of the running Windows, as the number that says which entries the dispatch tables have.

use crate::WINDOWS_BUILDS;

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

#[cfg(test)]
mod tests {
    use super::ntddi_of_build;
    use crate::{NTDDI_VISTA, NTDDI_WIN10_RS1, NTDDI_WIN10_RS2, WINDOWS_BUILDS};

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
