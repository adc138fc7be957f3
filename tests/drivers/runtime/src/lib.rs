//! What a driver needs besides [`wsk`] when it is built without a WDK: what the compiler expects of a program without a standard
//! library, its [entry](driver_entry), its [parameters](Parameters) from the registry, a [thread](Worker), an [executor](block_on) for one future, a [spin
//! lock](SpinLock), and lines to the debugger.
//!
//! | feature | on by default | what it does |
//! |---|---|---|
//! | `panic-handler` | yes | a panic stops the system, with the stop code `MANUALLY_INITIATED_CRASH1` |
//! | `memory-functions` | yes | `memcpy`, `memmove`, `memset` and `memcmp` come from `ntoskrnl.exe` |
//! | `log` | no | a `Logger` for the crate `log` |
//!
//! The first two are for Windows and for `panic = "abort"`, the settings of a driver. A program that unwinds, such as a test,
//! brings its own. With `wdk-panic` and the libraries of a WDK, turn them off with `default-features = false`.
//!
//! The page `A driver without a WDK` of the guide of [`wsk`](https://docs.rs/wsk) has a whole driver that uses this crate.

#![no_std]

// A program that unwinds is a test on the host kernel: an ordinary program, which brings what the compiler expects. The documentation
// may be built for a Windows target that has no standard library.
#[cfg(not(any(doc, all(windows, not(panic = "unwind")))))]
extern crate std;

mod debugger;
mod entry;
mod executor;
#[cfg(all(windows, not(panic = "unwind")))]
mod language;
mod parameters;
mod spin_lock;
mod worker;

#[doc(alias("DbgPrint", "KdPrint"))]
pub use debugger::Debugger;
#[cfg(feature = "log")]
pub use debugger::Logger;
#[doc(alias("DbgPrint", "KdPrint"))]
pub use debugger::{report, report_count, report_status};
#[doc(alias("KeWaitForMultipleObjects", "KEVENT"))]
pub use executor::{block_on, block_on_timeout};
#[doc(alias("ZwOpenKey", "ZwQueryValueKey", "RtlQueryRegistryValues"))]
pub use parameters::Parameters;
pub use parameters::Text;
#[doc(alias("KSPIN_LOCK", "KeAcquireSpinLock"))]
pub use spin_lock::SpinLock;
pub use worker::Stop;
#[doc(alias("PsCreateSystemThread"))]
pub use worker::Worker;

/// The stop code `MANUALLY_INITIATED_CRASH1`, which Microsoft leaves to drivers.
const CRASH: u32 = 0xDEAD_DEAD;

/// Stops the system, because a driver that has panicked must not continue. IRQL: any.
#[cold]
fn stop() -> ! {
    // SAFETY: may be called at any IRQL.
    unsafe { wsk_sys::KeBugCheckEx(CRASH, 0, 0, 0, 0) }
}

/// Items for [`driver_entry`].
#[doc(hidden)]
pub mod private {
    pub use crate::entry::enter;
    pub use wsk::NTSTATUS;
    pub use wsk_sys::{DRIVER_OBJECT, UNICODE_STRING};
}
