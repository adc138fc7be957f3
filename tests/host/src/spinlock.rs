//! Spin locks. Stands for `KeAcquireSpinLockRaiseToDpc` and its kin, and for the system's cancel lock.
//!
//! A lock is one word of the driver's. Zero means free; otherwise the word is the number of the thread that holds the lock, so that a
//! thread that acquires its own lock again is reported at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use wsk_sys::IRP;

use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::irql::{self, DISPATCH_LEVEL};
use crate::origin::{self, Thread};
use crate::waits::Waiting;
use crate::{lock_order, pool};

static CANCEL_LOCK: AtomicUsize = AtomicUsize::new(0);

/// The lock in the driver's word.
///
/// # Safety
///
/// `lock` is valid for the time of the reference, and used as a spin lock only.
unsafe fn word<'l>(lock: *mut usize) -> &'l AtomicUsize {
    // SAFETY: the caller says so.
    unsafe { AtomicUsize::from_ptr(lock) }
}

fn acquire(function: &'static str, lock: &AtomicUsize) {
    require_nonpaged(function, lock, "a spin lock");
    lock_order::taking(function, lock.as_ptr() as usize);
    let own = origin::thread_number() as usize;
    let mut spins = 0_u32;
    let mut waited = None;
    while let Err(owner) = lock.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed)
    {
        if owner == own {
            bugcheck!(
                SPIN_LOCK_ALREADY_OWNED(&raw const *lock as usize, 0, 0, 0),
                [],
                "{function} was called for a lock that this thread holds already"
            )
        }
        if !origin::is_thread_number(owner) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::LOCK_UNINITIALIZED,
                    lock.as_ptr() as usize,
                    owner,
                    0
                ),
                [pool::story(lock.as_ptr() as usize)],
                "{function} was called for memory that isn't an initialised lock: it holds {owner:#x}"
            )
        }
        spins = spins.wrapping_add(1);
        if spins.is_multiple_of(64) {
            std::thread::yield_now();
            if waited.is_none() {
                waited = Some(Waiting::begin(function, lock.as_ptr() as usize));
            }
            if let Some(waiting) = &waited {
                waiting.give_up_when_hopeless(|| {
                    let holder = u32::try_from(lock.load(Ordering::Relaxed)).unwrap_or(0);
                    format!("the lock is held by {}", Thread(holder))
                });
            }
        } else {
            core::hint::spin_loop();
        }
    }
    lock_order::taken(lock.as_ptr() as usize, lock_order::SPIN_LOCK);
}

fn release(function: &str, lock: &AtomicUsize) {
    let own = origin::thread_number() as usize;
    let owner = lock.load(Ordering::Relaxed);
    if owner != own {
        let holder = u32::try_from(owner)
            .ok()
            .filter(|&number| number != 0)
            .map_or("nobody".to_owned(), |number| Thread(number).to_string());
        bugcheck!(
            SPIN_LOCK_NOT_OWNED(&raw const *lock as usize, owner, 0, 0),
            [],
            "{function} was called for a lock that is held by {holder}"
        )
    }
    lock_order::given_back(lock.as_ptr() as usize);
    lock.store(0, Ordering::Release);
}

/// Acquires the cancel lock, and returns the IRQL for [`release_cancel`].
pub(crate) fn acquire_cancel() -> u8 {
    let level = irql::set(DISPATCH_LEVEL.max(irql::current()));
    acquire("IoAcquireCancelSpinLock", &CANCEL_LOCK);
    level
}

/// Releases the cancel lock.
pub(crate) fn release_cancel(level: u8) {
    release("IoReleaseCancelSpinLock", &CANCEL_LOCK);
    irql::lower("IoReleaseCancelSpinLock", level);
}

/// Releases the cancel lock for a cancel routine.
///
/// # Safety
///
/// `irp` is the IRP whose cancel routine is being called.
pub(crate) unsafe fn release_cancel_of(irp: *mut IRP) {
    // SAFETY: the caller says so.
    release_cancel(unsafe { crate::irp::cancel_irql(irp) });
}

export! {
    /// Raises the IRQL to `DISPATCH_LEVEL` and acquires the lock; returns the former IRQL.
    fn KeAcquireSpinLockRaiseToDpc(SpinLock: *mut usize) -> u8, at most HIGH_LEVEL {
        let level = irql::current();
        if level > DISPATCH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::ACQUIRE_SPIN_LOCK_IRQL,
                    usize::from(level),
                    SpinLock as usize,
                    0
                ),
                [],
                "KeAcquireSpinLock was called above DISPATCH_LEVEL"
            )
        }
        irql::set(DISPATCH_LEVEL);
        // SAFETY: the driver gives its lock.
        acquire("KeAcquireSpinLock", unsafe { word(SpinLock) });
        level
    }
}

export! {
    /// Releases the lock, and lowers the IRQL to its former value.
    fn KeReleaseSpinLock(SpinLock: *mut usize, NewIrql: u8), at most HIGH_LEVEL {
        let level = irql::current();
        if level != DISPATCH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::RELEASE_SPIN_LOCK_IRQL,
                    usize::from(level),
                    SpinLock as usize,
                    0
                ),
                [],
                "KeReleaseSpinLock was called at another IRQL than DISPATCH_LEVEL"
            )
        }
        // SAFETY: the driver gives its lock.
        release("KeReleaseSpinLock", unsafe { word(SpinLock) });
        irql::lower("KeReleaseSpinLock", NewIrql);
    }
}

export! {
    /// Acquires the lock; the caller is at `DISPATCH_LEVEL` already.
    fn KeAcquireSpinLockAtDpcLevel(SpinLock: *mut usize), at most HIGH_LEVEL {
        let level = irql::current();
        if level < DISPATCH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::ACQUIRE_AT_DPC_LEVEL_IRQL,
                    usize::from(level),
                    SpinLock as usize,
                    0
                ),
                [],
                "KeAcquireSpinLockAtDpcLevel was called below DISPATCH_LEVEL"
            )
        }
        // SAFETY: the driver gives its lock.
        acquire("KeAcquireSpinLockAtDpcLevel", unsafe { word(SpinLock) });
    }
}

export! {
    /// Releases the lock, and stays at `DISPATCH_LEVEL`.
    fn KeReleaseSpinLockFromDpcLevel(SpinLock: *mut usize), at most HIGH_LEVEL {
        let level = irql::current();
        if level < DISPATCH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::RELEASE_FROM_DPC_LEVEL_IRQL,
                    usize::from(level),
                    SpinLock as usize,
                    0
                ),
                [],
                "KeReleaseSpinLockFromDpcLevel was called below DISPATCH_LEVEL"
            )
        }
        // SAFETY: the driver gives its lock.
        release("KeReleaseSpinLockFromDpcLevel", unsafe { word(SpinLock) });
    }
}

dispatched! {
    /// Acquires the system's cancel lock.
    #[unsafe(no_mangle)]
    fn IoAcquireCancelSpinLock(Irql: *mut u8), at most DISPATCH_LEVEL {
        let level = acquire_cancel();
        // SAFETY: the driver gives the place for the IRQL.
        unsafe { Irql.write(level) };
    }
}

dispatched! {
    /// Releases the system's cancel lock.
    #[unsafe(no_mangle)]
    fn IoReleaseCancelSpinLock(Irql: u8), at most DISPATCH_LEVEL {
        release_cancel(Irql);
    }
}
