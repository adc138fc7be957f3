//! Fast mutexes, and critical regions. Stands for `ExAcquireFastMutex` and its kin, and for `KeEnterCriticalRegion`.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use wsk_sys::FAST_MUTEX;

use super::holders::Holders;
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::event::{self, Kind};
use crate::irql::{self, APC_LEVEL};
use crate::lock_order;
use crate::origin;
use crate::waits::Waiting;

pub(super) static HELD: Holders = Holders::new(lock_order::FAST_MUTEX);

std::thread_local! {
    /// The number of critical regions that this thread is in.
    static REGIONS: Cell<u32> = const { Cell::new(0) };
}

/// Called when this thread is about to end. Stops when it is in a critical region.
pub(super) fn require_no_region() {
    if REGIONS.get() != 0 {
        bugcheck!(
            KERNEL_APC_PENDING_DURING_EXIT(0, REGIONS.get() as usize, 0, 0),
            [],
            "a system thread ended in a critical region: KeEnterCriticalRegion was called more often than KeLeaveCriticalRegion"
        )
    }
}

/// The number of critical regions that this thread is in.
pub(crate) fn regions() -> u32 {
    REGIONS.get()
}

/// Whether normal kernel calls are held off from this thread.
pub(crate) fn in_critical_region() -> bool {
    REGIONS.get() != 0 || irql::current() >= APC_LEVEL
}

/// # Safety
///
/// `mutex` is the driver's, valid until it is released.
unsafe fn try_acquire(function: &'static str, mutex: *mut FAST_MUTEX) -> bool {
    HELD.try_acquire(function, mutex as usize, true, |_, _| {
        // SAFETY: the caller gives the mutex. Nobody holds it, so that the members are this thread's.
        unsafe {
            let kind = Kind::of(&raw const (*mutex).Event.Header);
            let count = AtomicI32::from_ptr(&raw mut (*mutex).Count);
            let free = kind == Ok(Kind::SynchronizationEvent)
                && count
                    .compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst)
                    .is_ok();
            if free {
                (*mutex).Owner = ptr::without_provenance_mut(origin::thread_number() as usize);
                (*mutex).OldIrql = irql::current().into();
            }
            free
        }
    })
}

export! {
    /// Waits for the mutex, acquires it, and raises the IRQL to `APC_LEVEL`.
    fn ExAcquireFastMutex(FastMutex: *mut FAST_MUTEX), at most APC_LEVEL {
        require_nonpaged("ExAcquireFastMutex", FastMutex, "a fast mutex");
        // SAFETY: the driver gives its mutex, of which only the place of the event is told.
        let event = unsafe { &raw mut (*FastMutex).Event.Header };
        lock_order::taking("ExAcquireFastMutex", FastMutex as usize);
        let mut waiting = None;
        // SAFETY: the driver gives its mutex.
        while !unsafe { try_acquire("ExAcquireFastMutex", FastMutex) } {
            let waiting = waiting
                .get_or_insert_with(|| Waiting::begin("ExAcquireFastMutex", FastMutex as usize));
            waiting.give_up_when_hopeless(|| HELD.told(FastMutex as usize));
            // The release wakes this thread up; it looks again soon in any case, because another thread may take the mutex first.
            let soon = std::time::Instant::now() + std::time::Duration::from_millis(1);
            // SAFETY: the mutex stays until it was taken and given back.
            let _ = unsafe { event::wait(event, Some(soon)) };
        }
        irql::set(APC_LEVEL);
    }
}

export! {
    /// Acquires the mutex if it is free, and then raises the IRQL to `APC_LEVEL`.
    fn ExTryToAcquireFastMutex(FastMutex: *mut FAST_MUTEX) -> u8, at most APC_LEVEL {
        require_nonpaged("ExTryToAcquireFastMutex", FastMutex, "a fast mutex");
        // SAFETY: the driver gives its mutex.
        let taken = unsafe { try_acquire("ExTryToAcquireFastMutex", FastMutex) };
        if taken {
            irql::set(APC_LEVEL);
        }
        taken.into()
    }
}

export! {
    /// Releases the mutex, and lowers the IRQL to its former value.
    fn ExReleaseFastMutex(FastMutex: *mut FAST_MUTEX), at most HIGH_LEVEL {
        let level = irql::current();
        if level != APC_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::RELEASE_FAST_MUTEX_IRQL,
                    usize::from(level),
                    FastMutex as usize,
                    0
                ),
                [],
                "ExReleaseFastMutex was called at another IRQL than APC_LEVEL"
            )
        }
        let mut old = 0;
        HELD.release("ExReleaseFastMutex", FastMutex as usize, true, |_| {
            // SAFETY: the driver gives its mutex, which this thread holds.
            unsafe {
                old = (*FastMutex).OldIrql as u8;
                (*FastMutex).Owner = ptr::null_mut();
                AtomicI32::from_ptr(&raw mut (*FastMutex).Count).store(1, Ordering::SeqCst);
                event::signal(&raw mut (*FastMutex).Event.Header);
            }
        });
        irql::set(old);
    }
}

export! {
    /// Begins a critical region.
    fn KeEnterCriticalRegion(), at most APC_LEVEL {
        REGIONS.set(REGIONS.get() + 1);
    }
}

export! {
    /// Ends a critical region.
    fn KeLeaveCriticalRegion(), at most APC_LEVEL {
        match REGIONS.get().checked_sub(1) {
            Some(left) => REGIONS.set(left),
            None => bugcheck!(
                APC_INDEX_MISMATCH(0, 0, 0, 0),
                [],
                "KeLeaveCriticalRegion was called without KeEnterCriticalRegion"
            ),
        }
    }
}
