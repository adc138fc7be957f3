//! Time in the kernel's units. Stands for the system time and the performance counter.

use core::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use wsk_sys::LARGE_INTEGER;

/// A unit of kernel time is 100 nanoseconds.
const UNITS_PER_SECOND: u64 = 10_000_000;
/// The time from 1601, where Windows starts to count, to 1970.
const UNITS_TO_UNIX: u64 = 11_644_473_600 * UNITS_PER_SECOND;

static STARTED: Mutex<Option<Instant>> = Mutex::new(None);
/// The kernel's time runs this many times as fast as the host's; never 0.
static SPEED: AtomicU32 = AtomicU32::new(1);

/// Starts the clock.
pub(crate) fn start(speed: NonZeroU32) {
    SPEED.store(speed.get(), Ordering::Relaxed);
    *STARTED.lock() = Some(Instant::now());
}

/// The host's duration of a time of the kernel.
pub(crate) fn takes(time: Duration) -> Duration {
    time / SPEED.load(Ordering::Relaxed)
}

/// The system time: units since 1601.
pub(crate) fn system_time() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UNITS_TO_UNIX + units(since)
}

fn units(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos() / 100).unwrap_or(u64::MAX)
}

fn duration(units: u64) -> Duration {
    Duration::from_secs(units / UNITS_PER_SECOND)
        + Duration::from_nanos(units % UNITS_PER_SECOND * 100)
}

/// The duration of a kernel time-out. Negative values are relative, others are absolute system times.
pub(crate) fn until(timeout: i64) -> Duration {
    takes(match u64::try_from(timeout) {
        Ok(absolute) => duration(absolute.saturating_sub(system_time())),
        Err(_) => duration(timeout.unsigned_abs()),
    })
}

/// The time-out that a driver has given; `None` for NULL, which means no time-out.
///
/// # Safety
///
/// `timeout` is readable, or NULL.
pub(crate) unsafe fn timeout(timeout: *const LARGE_INTEGER) -> Option<i64> {
    // SAFETY: the caller says so.
    (!timeout.is_null()).then(|| unsafe { value(timeout) })
}

/// The time at which a wait with this time-out ends. `None` means never, and also stands for a time that is too far away.
pub(crate) fn deadline(timeout: Option<i64>) -> Option<Instant> {
    Instant::now().checked_add(until(timeout?))
}

/// The value of a kernel time.
///
/// # Safety
///
/// `time` is readable.
pub(crate) unsafe fn value(time: *const LARGE_INTEGER) -> i64 {
    // SAFETY: the caller says so; every member of the union covers the 64 bits.
    unsafe { (*time).QuadPart }
}

export! {
    /// The time since the kernel was booted, in units of 100 ns.
    fn KeQueryUnbiasedInterruptTime() -> u64, at most HIGH_LEVEL {
        let started = *STARTED.lock().get_or_insert_with(Instant::now);
        units(started.elapsed()).saturating_mul(u64::from(SPEED.load(Ordering::Relaxed)))
    }
}

export! {
    /// The system time, in units of 100 ns since 1601.
    fn KeQuerySystemTimePrecise(CurrentTime: *mut LARGE_INTEGER), at most HIGH_LEVEL {
        // SAFETY: the driver gives the place.
        unsafe { (*CurrentTime).QuadPart = system_time().cast_signed() };
    }
}

export! {
    /// The time since the kernel was booted as a counter of 10 MHz, as on Windows.
    fn KeQueryPerformanceCounter(PerformanceFrequency: *mut LARGE_INTEGER) -> LARGE_INTEGER, at most HIGH_LEVEL {
        if !PerformanceFrequency.is_null() {
            // SAFETY: the driver gives the place.
            unsafe { (*PerformanceFrequency).QuadPart = UNITS_PER_SECOND.cast_signed() };
        }
        let started = *STARTED.lock().get_or_insert_with(Instant::now);
        let units = units(started.elapsed()).saturating_mul(u64::from(SPEED.load(Ordering::Relaxed)));
        LARGE_INTEGER { QuadPart: units.cast_signed() }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{system_time, until};

    #[test]
    fn relative_and_absolute_times() {
        assert_eq!(until(-25), Duration::from_nanos(2500));
        assert_eq!(
            until(i64::MIN),
            Duration::from_nanos(854_775_808 * 100 % 1_000_000_000)
                + Duration::from_secs((1 << 63) / 10_000_000)
        );
        assert_eq!(until(1), Duration::ZERO);
        let soon = until((system_time() + 50_000_000).cast_signed());
        assert!(
            soon > Duration::from_secs(4) && soon <= Duration::from_secs(5),
            "{soon:?}"
        );
    }
}
