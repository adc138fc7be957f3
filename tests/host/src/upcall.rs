//! Calls of the driver's code by the system. The code must return with the same locks, in the same critical regions and at the same IRQL
//! as it was called, and must not lower the IRQL below that meanwhile.

use core::fmt::{self, Display};
use std::cell::Cell;

use crate::bugcheck::{self, BugCheckCode, bugcheck, violation};
use crate::executive::mutex;
use crate::{irql, lock_order};

/// Code of a driver that the system calls.
#[derive(Clone, Copy)]
pub(crate) enum Code<'n> {
    /// `DriverEntry` or `DriverUnload`.
    Routine(&'n str),
    /// An event callback of WSK, by its name.
    EventCallback(&'n str),
    /// A completion routine, by its address.
    CompletionRoutine(usize),
    /// A deferred procedure call, by the address of its routine.
    Deferred(usize),
}

impl Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Routine(name) => f.write_str(name),
            Self::EventCallback(name) => write!(f, "the driver's {name}"),
            Self::CompletionRoutine(_) => f.write_str("a completion routine"),
            Self::Deferred(_) => f.write_str("a deferred procedure call"),
        }
    }
}

std::thread_local! {
    /// The IRQL at which the driver's code on this thread was called.
    static FLOOR: Cell<u8> = const { Cell::new(irql::PASSIVE_LEVEL) };
}

/// The IRQL that the code on this thread must not go below.
pub(crate) fn floor() -> u8 {
    FLOOR.get()
}

/// Calls the driver's code. Stops when the code returns with another IRQL, lock or critical region.
pub(crate) fn call<R>(code: Code<'_>, run: impl FnOnce() -> R) -> R {
    struct Restore(u8);
    impl Drop for Restore {
        fn drop(&mut self) {
            FLOOR.set(self.0);
        }
    }
    let (level, locks, regions) = (irql::current(), lock_order::held(), mutex::regions());
    let floor = Restore(FLOOR.replace(level));
    let result = run();
    drop(floor);
    lock_order::require_none_kept(locks, &code);
    let left_in = mutex::regions();
    if left_in != regions {
        bugcheck!(
            APC_INDEX_MISMATCH(0, left_in as usize, regions as usize, 0),
            [],
            "{code} returned in {left_in} critical regions, and was called in {regions}"
        )
    }
    if irql::current() != level {
        other_level(code, level)
    }
    result
}

#[cold]
fn other_level(code: Code<'_>, level: u8) -> ! {
    let name = irql::name(level);
    let (now, level) = (usize::from(irql::current()), usize::from(level));
    let (number, parameters) = match code {
        Code::Routine(_) => (BugCheckCode::IRQL_UNEXPECTED_VALUE, [now, level, 0, 0]),
        Code::Deferred(routine) => (
            BugCheckCode::IRQL_UNEXPECTED_VALUE,
            [now, level, routine, 0],
        ),
        Code::EventCallback(_) => (
            BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [violation::CALLBACK_IRQL, level, now, 0],
        ),
        Code::CompletionRoutine(routine) => (
            BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [violation::COMPLETION_ROUTINE_IRQL, routine, level, now],
        ),
    };
    let rule = format_args!("{code} returned at another IRQL than it was called at ({name})");
    bugcheck::stop(number, parameters, &rule, &[])
}
