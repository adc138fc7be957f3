//! Which Windows runs, in the numbers that the dispatch tables are told apart by.

use crate::WINDOWS_BUILDS;

/// The `NTDDI_VERSION` of the Windows with this build number, as `RtlGetVersion` gives it: what `WskProviderDispatch::new` and the
/// wrappers of the other tables are told.
///
/// A build between two that are known has the older one's version, one newer than all of them the newest one's: every table
/// that it has is at least as long. One older than all of them has 0, as a system has whose version is not known: then only
/// what every provider of WSK has is called.
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
