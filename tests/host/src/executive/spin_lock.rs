//! Executive spin locks: many readers or one writer, at `DISPATCH_LEVEL`. Stands for `ExAcquireSpinLockShared` and its kin.
//!
//! The driver's word is that of NT: the highest bit stands for a writer; otherwise the word is the number of readers.

use core::sync::atomic::{AtomicI32, Ordering};

use super::holders::Holders;
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::irql::{self, DISPATCH_LEVEL};
use crate::lock_order;

pub(super) static HELD: Holders = Holders::new(lock_order::EXECUTIVE_SPIN_LOCK);

const WRITER: i32 = i32::MIN;

/// The driver's word.
///
/// # Safety
///
/// `lock` is valid for the time of the reference, and used as an executive spin lock only.
unsafe fn word<'l>(lock: *mut i32) -> &'l AtomicI32 {
    // SAFETY: the caller says so.
    unsafe { AtomicI32::from_ptr(lock) }
}

/// # Safety
///
/// As for [`word`], until the lock is released.
unsafe fn acquire(function: &'static str, lock: *mut i32, exclusive: bool) {
    require_nonpaged(function, lock, "an executive spin lock");
    HELD.acquire(
        function,
        lock as usize,
        exclusive,
        true,
        |holders, exclusive| {
            // SAFETY: the caller gives the lock.
            let word = unsafe { word(lock) };
            let expected = i32::try_from(holders).unwrap_or(i32::MAX);
            let new = if exclusive { WRITER } else { expected + 1 };
            word.compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        },
    );
}

/// # Safety
///
/// As for [`word`].
unsafe fn release(function: &'static str, lock: *mut i32, exclusive: bool) {
    HELD.release(function, lock as usize, exclusive, |left| {
        // SAFETY: the caller gives the lock.
        unsafe { word(lock) }.store(i32::try_from(left).unwrap_or(i32::MAX), Ordering::SeqCst);
    });
}

/// Raises the IRQL to `DISPATCH_LEVEL`, and returns the former IRQL.
fn raise(function: &'static str, lock: *mut i32) -> u8 {
    let level = irql::current();
    if level > DISPATCH_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::ACQUIRE_SPIN_LOCK_IRQL,
                usize::from(level),
                lock as usize,
                0
            ),
            [],
            "{function} was called above DISPATCH_LEVEL"
        )
    }
    irql::set(DISPATCH_LEVEL)
}

/// Stops when the caller is not at `DISPATCH_LEVEL` already.
fn require_dispatch(function: &'static str, lock: *mut i32, subcode: usize) {
    let level = irql::current();
    if level != DISPATCH_LEVEL {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(subcode, usize::from(level), lock as usize, 0),
            [],
            "{function} may be called at DISPATCH_LEVEL only"
        )
    }
}

export! {
    /// Raises the IRQL to `DISPATCH_LEVEL` and acquires the lock as a reader; returns the former IRQL.
    fn ExAcquireSpinLockShared(SpinLock: *mut i32) -> u8, at most HIGH_LEVEL {
        let level = raise("ExAcquireSpinLockShared", SpinLock);
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquireSpinLockShared", SpinLock, false) };
        level
    }
}

export! {
    /// Acquires the lock as a reader; the caller is at `DISPATCH_LEVEL` already.
    fn ExAcquireSpinLockSharedAtDpcLevel(SpinLock: *mut i32), at most HIGH_LEVEL {
        require_dispatch("ExAcquireSpinLockSharedAtDpcLevel", SpinLock, violation::ACQUIRE_AT_DPC_LEVEL_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquireSpinLockSharedAtDpcLevel", SpinLock, false) };
    }
}

export! {
    /// Releases the lock as a reader, and lowers the IRQL to its former value.
    fn ExReleaseSpinLockShared(SpinLock: *mut i32, OldIrql: u8), at most HIGH_LEVEL {
        require_dispatch("ExReleaseSpinLockShared", SpinLock, violation::RELEASE_SPIN_LOCK_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleaseSpinLockShared", SpinLock, false) };
        irql::lower("ExReleaseSpinLockShared", OldIrql);
    }
}

export! {
    /// Releases the lock as a reader, and stays at `DISPATCH_LEVEL`.
    fn ExReleaseSpinLockSharedFromDpcLevel(SpinLock: *mut i32), at most HIGH_LEVEL {
        require_dispatch("ExReleaseSpinLockSharedFromDpcLevel", SpinLock, violation::RELEASE_FROM_DPC_LEVEL_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleaseSpinLockSharedFromDpcLevel", SpinLock, false) };
    }
}

export! {
    /// Raises the IRQL to `DISPATCH_LEVEL` and acquires the lock as the writer; returns the former IRQL.
    fn ExAcquireSpinLockExclusive(SpinLock: *mut i32) -> u8, at most HIGH_LEVEL {
        let level = raise("ExAcquireSpinLockExclusive", SpinLock);
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquireSpinLockExclusive", SpinLock, true) };
        level
    }
}

export! {
    /// Acquires the lock as the writer; the caller is at `DISPATCH_LEVEL` already.
    fn ExAcquireSpinLockExclusiveAtDpcLevel(SpinLock: *mut i32), at most HIGH_LEVEL {
        require_dispatch("ExAcquireSpinLockExclusiveAtDpcLevel", SpinLock, violation::ACQUIRE_AT_DPC_LEVEL_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { acquire("ExAcquireSpinLockExclusiveAtDpcLevel", SpinLock, true) };
    }
}

export! {
    /// Releases the lock as the writer, and lowers the IRQL to its former value.
    fn ExReleaseSpinLockExclusive(SpinLock: *mut i32, OldIrql: u8), at most HIGH_LEVEL {
        require_dispatch("ExReleaseSpinLockExclusive", SpinLock, violation::RELEASE_SPIN_LOCK_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleaseSpinLockExclusive", SpinLock, true) };
        irql::lower("ExReleaseSpinLockExclusive", OldIrql);
    }
}

export! {
    /// Releases the lock as the writer, and stays at `DISPATCH_LEVEL`.
    fn ExReleaseSpinLockExclusiveFromDpcLevel(SpinLock: *mut i32), at most HIGH_LEVEL {
        require_dispatch("ExReleaseSpinLockExclusiveFromDpcLevel", SpinLock, violation::RELEASE_FROM_DPC_LEVEL_IRQL);
        // SAFETY: the driver gives its lock.
        unsafe { release("ExReleaseSpinLockExclusiveFromDpcLevel", SpinLock, true) };
    }
}

export! {
    /// Makes the only reader the writer; returns whether that was possible.
    fn ExTryConvertSharedSpinLockExclusive(SpinLock: *mut i32) -> u32, at most HIGH_LEVEL {
        let function = "ExTryConvertSharedSpinLockExclusive";
        require_dispatch(function, SpinLock, violation::ACQUIRE_AT_DPC_LEVEL_IRQL);
        HELD.upgrade(function, SpinLock as usize, || {
            // SAFETY: the driver gives its lock.
            unsafe { word(SpinLock) }.store(WRITER, Ordering::SeqCst);
        })
        .into()
    }
}
