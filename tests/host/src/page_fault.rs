//! Accesses to inaccessible memory, by the driver, or by the host kernel with a pointer of the driver. Reports them as bug checks.
//! Stands for the page fault handler, `KiPageFault` and `MmAccessFault`.
//!
//! On Unix the host reports a fault by a signal, which is handled on a separate stack; on Windows by a vectored exception. Other
//! faults go to the previous handler: all faults while no kernel is booted, and overflows of a stack. In debug builds Rust's own
//! checks of pointers panic before there is a fault; such a panic is reported in the same way.

mod access;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::sync::Once;

use wsk_sys::{STATUS_BREAKPOINT, STATUS_ILLEGAL_INSTRUCTION, STATUS_INTEGER_DIVIDE_BY_ZERO};

#[cfg(unix)]
use unix as host;
#[cfg(windows)]
use windows as host;

use access::Access;

use crate::bugcheck::bugcheck;
use crate::irql::{self, DISPATCH_LEVEL};
use crate::pool::paging::{self, Touched};
use crate::pool::{self, Met, pages};
use crate::{irp, kernel, origin};

/// The host's report of a fault.
#[derive(Clone, Copy)]
struct Fault {
    /// `None` when the processor has no such address, and so doesn't report it.
    address: Option<usize>,
    access: Access,
    /// The address of the instruction.
    instruction: usize,
}

/// An exception of the processor that isn't about memory.
#[derive(Clone, Copy)]
enum Exception {
    IllegalInstruction,
    DivisionByZero,
    Breakpoint,
}

/// Reports the exception as a bug check.
fn report_exception(exception: Exception, instruction: usize) -> ! {
    let (status, what) = match exception {
        Exception::IllegalInstruction => (
            STATUS_ILLEGAL_INSTRUCTION,
            "ran an instruction that the processor does not have, as a failed assertion does",
        ),
        Exception::DivisionByZero => (
            STATUS_INTEGER_DIVIDE_BY_ZERO,
            "divided by zero, or had a quotient that is too large",
        ),
        Exception::Breakpoint => (
            STATUS_BREAKPOINT,
            "came to a breakpoint without a debugger, or to a failed assertion",
        ),
    };
    bugcheck!(
        KMODE_EXCEPTION_NOT_HANDLED(status.0.cast_unsigned() as usize, instruction, 0, 0),
        [],
        "{} {what}",
        who()
    )
}

/// The code that did it: the driver, or a function of the kernel that the driver has called.
fn who() -> String {
    match origin::host_function() {
        Some(function) => format!("{function}, with what the driver gave it,"),
        None => "the driver".to_owned(),
    }
}

/// Handles faults from now on.
pub(crate) fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        host::install();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if kernel::is_booted()
                && let Some(address) = pointer_that_rust_refused(&panic.to_string())
            {
                report(Fault {
                    address: Some(address),
                    access: Access::Some,
                    instruction: 0,
                });
            }
            before(panic);
        }));
    });
    prepare_thread();
}

/// Gives this thread a stack to handle faults on.
pub(crate) fn prepare_thread() {
    host::prepare_thread();
}

/// The pointer that a check of Rust has found to be NULL or misaligned; `None` when the panic has another cause.
fn pointer_that_rust_refused(panic: &str) -> Option<usize> {
    if panic.contains("null pointer dereference occurred")
        || panic.contains("unsafe precondition(s) violated") && panic.contains("non-null")
    {
        return Some(0);
    }
    let (_, rest) =
        panic.split_once("misaligned pointer dereference: address must be a multiple of ")?;
    let digits = rest.rsplit_once("but is 0x")?.1;
    let digits = digits
        .split(|digit: char| !digit.is_ascii_hexdigit())
        .next()?;
    usize::from_str_radix(digits, 16).ok()
}

/// Brings paged pool back if the address lies in it. Returns whether the instruction can be tried again.
fn resolve(address: usize) -> bool {
    if !pages::may_hold(address) {
        return false;
    }
    let level = irql::current();
    match paging::page_in(address, level < DISPATCH_LEVEL) {
        Touched::Returned => true,
        Touched::Other => false,
        Touched::TooHigh => {
            let function = origin::host_function();
            bugcheck!(
                DRIVER_IRQL_NOT_LESS_OR_EQUAL(address, usize::from(level), 0, 0),
                [pool::story(address)],
                "paged pool was accessed at {}, {}: it needs not be in memory there",
                irql::name(level),
                match function {
                    Some(function) => format!("by {function}, which the driver gave it"),
                    None => "by the driver".to_owned(),
                }
            )
        }
    }
}

/// Reports the fault as a bug check.
fn report(fault: Fault) -> ! {
    let Fault {
        address,
        access,
        instruction,
    } = fault;
    let (did, operation) = match access {
        Access::Read => ("read", 0),
        Access::Write => ("wrote to", 1),
        Access::Call => ("called a function in", 8),
        Access::Some => ("accessed", 0),
    };
    let did = format!("{} {did} memory", who());
    let Some(address) = address else {
        bugcheck!(
            KMODE_EXCEPTION_NOT_HANDLED(0xC000_0005, instruction, operation, usize::MAX),
            [],
            "{did} at an address that the processor does not have: a pointer was not initialised, or overwritten"
        )
    };
    if !pages::may_hold(address) {
        report_outside(&did, address, instruction, operation);
    }
    match pool::met(address) {
        Some((Met::Freed(block), range)) => bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, operation, instruction, 0),
            [block, irp::past(range.start).unwrap_or_default()],
            "{did} that was freed, {} bytes from its start",
            address.wrapping_sub(range.start).cast_signed()
        ),
        Some((Met::Beyond(block), range)) => bugcheck!(
            PAGE_FAULT_BEYOND_END_OF_ALLOCATION(address, operation, instruction, 0),
            [block],
            "{did} beyond a block, {} bytes from its start, in a block of {} bytes",
            address.wrapping_sub(range.start).cast_signed(),
            range.len()
        ),
        None => bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, operation, instruction, 0),
            [],
            "{did} at {address:#x}, where no block of the pool lies, or lay lately"
        ),
    }
}

/// Reports a fault outside of the pool.
fn report_outside(did: &str, address: usize, instruction: usize, operation: usize) -> ! {
    let what = if address < pool::PAGE_SIZE {
        "by a pointer that is NULL, or close to that"
    } else {
        "where no memory is, or none that allows the access"
    };
    let level = irql::current();
    if level >= DISPATCH_LEVEL {
        bugcheck!(
            DRIVER_IRQL_NOT_LESS_OR_EQUAL(address, usize::from(level), operation, instruction),
            [],
            "{did} at {address:#x}, {what}"
        )
    }
    bugcheck!(
        KMODE_EXCEPTION_NOT_HANDLED(0xC000_0005, instruction, operation, address),
        [],
        "{did} at {address:#x}, {what}"
    )
}

#[cfg(test)]
mod tests {
    use super::pointer_that_rust_refused;

    #[test]
    fn panics_about_pointers_are_told_apart() {
        assert_eq!(
            pointer_that_rust_refused(
                "thread panicked at x.rs:1:2:\nnull pointer dereference occurred"
            ),
            Some(0)
        );
        assert_eq!(
            pointer_that_rust_refused(
                "misaligned pointer dereference: address must be a multiple of 0x8 but is 0xcdcdcdcdcdcdcdcd"
            ),
            Some(0xCDCD_CDCD_CDCD_CDCD)
        );
        assert_eq!(pointer_that_rust_refused("index out of bounds"), None);
    }
}
