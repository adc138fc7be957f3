//! Push locks: many readers or one writer, which may wait. Stands for `ExAcquirePushLockSharedEx` and its kin.
//!
//! The driver's word is that of NT as far as it is known: the lowest bit says that somebody holds the lock, the rest counts readers.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::holders::Holders;
use super::mutex;
use crate::bugcheck::{bugcheck, violation};
use crate::lock_order;

pub(super) static HELD: Holders = Holders::new(lock_order::PUSH_LOCK);

/// The word for this number of readers.
fn shared(readers: usize) -> usize {
    if readers == 0 { 0 } else { readers << 4 | 1 }
}

/// Stops when the thread is not in a critical region: a normal kernel call could suspend it while it holds the lock, and block all
/// others.
fn require_region(function: &'static str, lock: *mut usize) {
    if !mutex::in_critical_region() {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, lock as usize, 0, 0),
            [],
            "{function} was called outside of a critical region: KeEnterCriticalRegion comes first"
        )
    }
}

/// # Safety
///
/// `lock` is the driver's, valid until it is released.
unsafe fn acquire(function: &'static str, lock: *mut usize, exclusive: bool) {
    require_region(function, lock);
    HELD.acquire(
        function,
        lock as usize,
        exclusive,
        false,
        |holders, exclusive| {
            // SAFETY: the caller gives the lock.
            let word = unsafe { AtomicUsize::from_ptr(lock) };
            let new = if exclusive { 1 } else { shared(holders + 1) };
            word.compare_exchange(shared(holders), new, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        },
    );
}

/// # Safety
///
/// `lock` is the driver's.
unsafe fn release(function: &'static str, lock: *mut usize, exclusive: bool) {
    HELD.release(function, lock as usize, exclusive, |left| {
        // SAFETY: the caller gives the lock.
        unsafe { AtomicUsize::from_ptr(lock) }.store(shared(left), Ordering::SeqCst);
    });
    // The thread has to stay in the critical region until the release.
    require_region(function, lock);
}

export! {
    /// Initialises a push lock.
    fn ExInitializePushLock(PushLock: *mut usize), at most HIGH_LEVEL {
        lock_order::require_not_held("ExInitializePushLock", PushLock as usize, lock_order::PUSH_LOCK);
        // SAFETY: the driver gives the memory.
        unsafe { PushLock.write(0) };
    }
}

export! {
    /// Waits for the lock, and acquires it as a reader.
    fn ExAcquirePushLockSharedEx(Lock: *mut usize, Flags: u32), at most APC_LEVEL {
        let _ = Flags;
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquirePushLockShared", Lock, false) };
    }
}

export! {
    /// Waits for the lock, and acquires it as the writer.
    fn ExAcquirePushLockExclusiveEx(Lock: *mut usize, Flags: u32), at most APC_LEVEL {
        let _ = Flags;
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquirePushLockExclusive", Lock, true) };
    }
}

export! {
    /// Releases the lock as a reader.
    fn ExReleasePushLockSharedEx(Lock: *mut usize, Flags: u32), at most APC_LEVEL {
        let _ = Flags;
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleasePushLockShared", Lock, false) };
    }
}

export! {
    /// Releases the lock as the writer.
    fn ExReleasePushLockExclusiveEx(Lock: *mut usize, Flags: u32), at most APC_LEVEL {
        let _ = Flags;
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleasePushLockExclusive", Lock, true) };
    }
}
