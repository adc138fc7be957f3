//! Rundown protection: users of an object, and who waits for them to be done. Stands for `ExAcquireRundownProtection` and its kin.
//!
//! The word is that of NT: the lowest bit says that the object runs down, the rest is twice the number of users.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wsk_sys::EX_RUNDOWN_REF;

use crate::bugcheck::{bugcheck, violation};
use crate::pool;
use crate::waits::Waiting;

const RUNS_DOWN: usize = 1;
const USER: usize = 2;

/// The count in the driver's structure.
///
/// # Safety
///
/// `protection` is valid for the time of the reference, and used as rundown protection only.
unsafe fn count<'r>(protection: *mut EX_RUNDOWN_REF) -> &'r AtomicUsize {
    // SAFETY: the caller says so; the structure is one word.
    unsafe { AtomicUsize::from_ptr(protection.cast()) }
}

export! {
    /// Makes an object one that nobody uses yet.
    fn ExInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most HIGH_LEVEL {
        // SAFETY: the driver gives the memory.
        unsafe { count(RunRef) }.store(0, Ordering::SeqCst);
    }
}

export! {
    /// Makes an object that has run down one that may be used again.
    fn ExReInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most HIGH_LEVEL {
        // SAFETY: the driver gives its structure.
        let before = unsafe { count(RunRef) }.swap(0, Ordering::SeqCst);
        if before != RUNS_DOWN {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, RunRef as usize, before, 0),
                [pool::story(RunRef as usize)],
                "ExReInitializeRundownProtection was called for an object that has not run down: {} users are left",
                before / USER
            )
        }
    }
}

export! {
    /// Begins to use an object, unless it runs down.
    fn ExAcquireRundownProtection(RunRef: *mut EX_RUNDOWN_REF) -> u8, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its structure.
        let count = unsafe { count(RunRef) };
        count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
                (count & RUNS_DOWN == 0).then_some(count.wrapping_add(USER))
            })
            .is_ok()
            .into()
    }
}

export! {
    /// Ends a use of an object.
    fn ExReleaseRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its structure. Who waits may free it right after this.
        let before = unsafe { count(RunRef) }.fetch_sub(USER, Ordering::SeqCst);
        if before < USER {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNEXPECTED_RELEASE, RunRef as usize, before, 0),
                [pool::story(RunRef as usize)],
                "ExReleaseRundownProtection was called more often than ExAcquireRundownProtection has succeeded"
            )
        }
    }
}

export! {
    /// Allows no further use, and waits until every one has ended.
    fn ExWaitForRundownProtectionRelease(RunRef: *mut EX_RUNDOWN_REF), at most APC_LEVEL {
        // SAFETY: the driver gives its structure, which stays until this returns.
        let count = unsafe { count(RunRef) };
        let mut tries = 0_u32;
        let mut left = count.fetch_or(RUNS_DOWN, Ordering::SeqCst);
        let mut waiting = None;
        while left >= USER {
            let waiting = waiting.get_or_insert_with(|| {
                Waiting::begin("ExWaitForRundownProtectionRelease", RunRef as usize)
            });
            waiting.give_up_when_hopeless(|| format!("{} users are left", left / USER));
            tries = tries.saturating_add(1);
            if tries < 64 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
            left = count.load(Ordering::SeqCst);
        }
    }
}

export! {
    /// Says that an object has run down.
    fn ExRundownCompleted(RunRef: *mut EX_RUNDOWN_REF), at most APC_LEVEL {
        // SAFETY: the driver gives its structure.
        let before = unsafe { count(RunRef) }.swap(RUNS_DOWN, Ordering::SeqCst);
        if before >= USER {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, RunRef as usize, before, 0),
                [pool::story(RunRef as usize)],
                "ExRundownCompleted was called for an object that is still used: ExWaitForRundownProtectionRelease comes first"
            )
        }
    }
}
