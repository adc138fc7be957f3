//! Times in the kernel's form (`LARGE_INTEGER`): in units of 100 nanoseconds, negative for relative times.

#![forbid(unsafe_code)]

use core::time::Duration;

use wsk_sys::LARGE_INTEGER;

pub(crate) use crate::system::interrupt_time as now;

/// The time that a provider has to complete an IRP after it has returned an error, or was asked to cancel.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A time from now in the kernel's form.
pub(crate) fn interval(time: Duration) -> LARGE_INTEGER {
    interval_of(units(time))
}

/// A time in units of 100 nanoseconds, without a 128-bit division. If it does not fit, the longest time.
pub(crate) fn units(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(10_000_000)
        .saturating_add(u64::from(time.subsec_nanos() / 100))
}

/// Like [`interval`], from units.
fn interval_of(units: u64) -> LARGE_INTEGER {
    // At most half the range, so that the kernel can add the time since boot without overflow.
    let units = i64::try_from(units).unwrap_or(i64::MAX).min(i64::MAX / 2);
    LARGE_INTEGER { QuadPart: -units }
}

/// A moment at which a wait ends.
pub(crate) struct Deadline {
    limit: Duration,
    /// The time when the wait began, if a wait may be continued. Otherwise no clock is read.
    start: Option<u64>,
}

impl Deadline {
    /// The moment at which `limit` has passed from now. `again` says whether a wait may be continued up to it.
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
