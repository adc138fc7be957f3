//! How long something waits.

#![forbid(unsafe_code)]

use core::time::Duration;

pub(crate) use crate::system::interrupt_time as now;
use crate::system::units;

/// The time that a provider has to complete an IRP after it has returned an error, or was asked to cancel.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

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
