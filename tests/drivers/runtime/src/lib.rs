//! What the sample drivers need besides `wsk`: what the compiler expects of a program without a standard library, the driver's
//! parameters from the registry, a thread, and a line to the debugger about what went wrong.
//!
//! A driver that is built with a WDK has all of this from `wdk`, `wdk-sys` and `wdk-panic`.

#![no_std]

// What unwinds is a test on the host kernel: an ordinary program, which brings what the compiler expects.
#[cfg(not(all(windows, not(panic = "unwind"))))]
extern crate std;

#[cfg(all(windows, not(panic = "unwind")))]
mod language;
mod parameters;
mod spin_lock;
mod worker;

use core::ffi::CStr;

use wsk::{Error, NTSTATUS};
use wsk_sys::DbgPrint;

pub use parameters::{Parameters, Text};
pub use spin_lock::SpinLock;
pub use worker::{Stop, Worker};

/// A length for a string that ends with a zero.
const WHOLE: usize = 0x7FFF_FFFF;

/// Prints what a driver could not do, and gives the status to answer with. IRQL: `<= DISPATCH_LEVEL`.
pub fn report(driver: &CStr, error: Error) -> NTSTATUS {
    let what = match (error, error.call()) {
        // An entry that the provider's table has not, or that cannot take what it was given.
        (Error::NoEntry { entry } | Error::TooLong { entry }, _) => (entry.as_ptr(), entry.len()),
        (_, Some(call)) => (call.name().as_ptr().cast(), WHOLE),
        _ => (c"the driver".as_ptr().cast(), WHOLE),
    };
    let status = NTSTATUS::from(error);
    // SAFETY: a string that ends with a zero; a length, and so many bytes or less and a zero; and a number, as the format asks for.
    unsafe {
        DbgPrint(
            c"%s: %.*s failed: 0x%08X\n".as_ptr().cast(),
            driver.as_ptr(),
            what.1,
            what.0,
            status.0,
        );
    }
    status
}
