//! The interrupt request level of each thread. Stands for the processor's CR8 and `KeRaiseIrql`.
//!
//! Every host thread is a processor of its own: raising the level never delays another thread, but every call is checked
//! against the highest level at which its documentation allows it.

use std::cell::Cell;

use crate::bugcheck::{bugcheck, violation};
use crate::pool::paging;
use crate::{event, lock_order, page_fault, stack_places, upcall};

/// Ordinary code.
pub const PASSIVE_LEVEL: u8 = 0;
/// Asynchronous procedure calls are held off.
pub const APC_LEVEL: u8 = 1;
/// The dispatcher is held off: no waiting, no paged memory.
pub const DISPATCH_LEVEL: u8 = 2;
/// Everything is held off.
pub const HIGH_LEVEL: u8 = 15;

/// Set beside the level when the thread has something to check at its next call of the kernel. The value is above every level: the
/// check of the level leads to [`slow`] then, and costs nothing otherwise.
const ATTENTION: u8 = 0x80;

thread_local! {
    /// A new thread starts with attention set, so that its first call prepares it.
    static LEVEL: Cell<u8> = const { Cell::new(PASSIVE_LEVEL | ATTENTION) };
}

/// The level of this thread.
#[inline]
#[must_use]
pub fn current() -> u8 {
    LEVEL.with(Cell::get) & !ATTENTION
}

/// Sets the level of this thread and returns the former one.
#[inline]
pub(crate) fn set(level: u8) -> u8 {
    if level >= DISPATCH_LEVEL {
        paging::trim();
    }
    let former = LEVEL.with(|current| {
        let former = current.get();
        current.set(level | former & ATTENTION);
        former
    });
    if former & ATTENTION != 0 {
        page_fault::prepare_thread();
    }
    former & !ATTENTION
}

/// Makes this thread run its checks when it calls the kernel the next time.
pub(crate) fn attend() {
    LEVEL.with(|level| level.set(level.get() | ATTENTION));
}

/// The documented name of a level.
pub(crate) fn name(level: u8) -> &'static str {
    match level {
        PASSIVE_LEVEL => "PASSIVE_LEVEL",
        APC_LEVEL => "APC_LEVEL",
        DISPATCH_LEVEL => "DISPATCH_LEVEL",
        HIGH_LEVEL => "HIGH_LEVEL",
        _ => "a device level",
    }
}

/// Runs `body` with this thread at `level`, which must not be below the current level.
///
/// # Panics
///
/// When `level` is below the current one, or `body` returns at another level than it was called at.
///
/// ```
/// use wsk_host::{DISPATCH_LEVEL, at_irql, current_irql};
///
/// assert_eq!(at_irql(DISPATCH_LEVEL, current_irql), DISPATCH_LEVEL);
/// assert_eq!(current_irql(), 0);
/// ```
pub fn at_irql<T>(level: u8, body: impl FnOnce() -> T) -> T {
    struct Restore(u8);
    impl Drop for Restore {
        fn drop(&mut self) {
            set(self.0);
        }
    }
    assert!(
        level >= current(),
        "at_irql({}) would lower the IRQL from {}",
        name(level),
        name(current())
    );
    let _restore = Restore(set(level));
    let result = body();
    assert_eq!(current(), level, "the closure returned at another IRQL");
    result
}

/// Stops when this thread is above `highest`.
#[inline]
pub(crate) fn require(function: &'static str, highest: u8) {
    let level = LEVEL.with(Cell::get);
    if level > highest {
        slow(function, highest);
    }
}

#[cold]
fn slow(function: &'static str, highest: u8) {
    let level = current();
    if LEVEL.get() != level {
        page_fault::prepare_thread();
        let wait_follows = event::require_wait(function);
        if !stack_places::look(function) && !wait_follows {
            LEVEL.set(level);
        }
    }
    if level > highest {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WRONG_IRQL,
                usize::from(level),
                usize::from(highest),
                0
            ),
            [],
            "{function} may be called at IRQL <= {} only",
            name(highest)
        )
    }
}

export! {
    /// The IRQL of the caller.
    fn KeGetCurrentIrql() -> u8, at most HIGH_LEVEL {
        current()
    }
}

export! {
    /// Raises the IRQL and returns the former one.
    fn KfRaiseIrql(NewIrql: u8) -> u8, at most HIGH_LEVEL {
        let old = current();
        if NewIrql < old || NewIrql > HIGH_LEVEL {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::RAISE_IRQL,
                    usize::from(old),
                    usize::from(NewIrql),
                    0
                ),
                [],
                "KeRaiseIrql was asked for IRQL {NewIrql} while at {old}: it can't lower, and HIGH_LEVEL is the highest"
            )
        }
        set(NewIrql)
    }
}

/// Lowers the IRQL for `function`, which the driver has called. Stops when that is not allowed.
pub(crate) fn lower(function: &str, level: u8) {
    let (old, floor) = (current(), upcall::floor());
    if level > old {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::LOWER_IRQL,
                usize::from(old),
                usize::from(level),
                0
            ),
            [],
            "{function} was asked for IRQL {level} while at {old}: it can't raise"
        )
    }
    if level < floor {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::LOWER_IRQL,
                usize::from(old),
                usize::from(level),
                usize::from(floor)
            ),
            [],
            "{function} was called to lower the IRQL to {} by code that was called at {}: it may lower only what it has raised",
            name(level),
            name(floor)
        )
    }
    if level < DISPATCH_LEVEL && old >= DISPATCH_LEVEL {
        lock_order::require_no_spin_lock(function, level);
    }
    set(level);
}

#[cfg(not(target_arch = "aarch64"))]
export! {
    /// Lowers the IRQL to what it was before it was raised.
    fn KeLowerIrql(NewIrql: u8), at most HIGH_LEVEL {
        lower("KeLowerIrql", NewIrql);
    }
}

// The kernel for arm64 exports this function; `KeLowerIrql` is a macro there.
#[cfg(target_arch = "aarch64")]
export! {
    /// Lowers the IRQL to what it was before it was raised.
    fn KfLowerIrql(NewIrql: u8), at most HIGH_LEVEL {
        lower("KeLowerIrql", NewIrql);
    }
}
