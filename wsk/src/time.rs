//! Times as the kernel takes them: relative ones are negative, in units of 100 nanoseconds (`LARGE_INTEGER`).

#![forbid(unsafe_code)]

use core::time::Duration;

use wsk_sys::LARGE_INTEGER;

pub(crate) use crate::system::interrupt_time as now;

/// The time that a provider has to complete an IRP after it has returned an error, or was asked to cancel.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A time from now as the kernel takes it.
pub(crate) fn interval(time: Duration) -> LARGE_INTEGER {
    interval_of(units(time))
}

/// A time in units of 100 nanoseconds, with no division of 128 bits; the longest there is for what is longer.
pub(crate) fn units(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(10_000_000)
        .saturating_add(u64::from(time.subsec_nanos() / 100))
}

/// As [`interval`], of units.
fn interval_of(units: u64) -> LARGE_INTEGER {
    // Not more than half the range, so that the kernel's sum with the time since boot does not overflow.
    let units = i64::try_from(units).unwrap_or(i64::MAX).min(i64::MAX / 2);
    LARGE_INTEGER { QuadPart: -units }
}

/// A moment up to which something is waited for.
pub(crate) struct Deadline {
    limit: Duration,
    /// When the wait began, if it may be taken up again: no clock is read for the others.
    start: Option<u64>,
}

impl Deadline {
    /// The moment that comes when `limit` has passed from now on. `again` says whether a wait up to it may be taken up again.
    #[inline]
    pub(crate) fn after(limit: Duration, again: bool) -> Self {
        Self {
            limit,
            start: again.then(now),
        }
    }

    /// The remaining time.
    #[inline]
    pub(crate) fn left(&self) -> Duration {
        match self.start {
            None => self.limit,
            Some(start) => {
                let left = units(self.limit).saturating_sub(now().saturating_sub(start));
                Duration::from_micros(left / 10) + Duration::from_nanos(left % 10 * 100)
            }
        }
    }
}
