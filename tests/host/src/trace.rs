//! Events of the host kernel for listeners: every call of a driver, and the life of each IRP. Stands for the event tracing of the
//! I/O manager and of WSK.

use core::any::Any;
use core::cell::Cell;
use core::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use wsk_sys::NTSTATUS;

use crate::{irql, names};

/// Something that happened.
///
/// `Display` gives one line: where it ran and what it was.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use wsk_host::Kernel;
///
/// let kernel = Kernel::boot();
/// let log = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&log);
/// kernel.on_event(move |event| seen.lock().unwrap().push(event.to_string()));
/// // SAFETY: a kernel is booted, and one stack location is a possible number; the IRP is freed once.
/// unsafe { wsk_sys::IoFreeIrp(wsk_sys::IoAllocateIrp(1, 0)) };
/// kernel.shutdown();
/// assert!(log.lock().unwrap().iter().any(|line| line.contains("irp#1 allocated")), "{log:?}");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// Counts the events of this kernel, from 1. Listeners on different threads may see them in another order.
    pub sequence: u64,
    /// The IRQL at which it happened.
    pub irql: u8,
    /// What happened.
    pub what: What,
}

/// What an [`Event`] is about.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use wsk_host::{Kernel, What};
///
/// let kernel = Kernel::boot();
/// let calls = Arc::new(Mutex::new(Vec::new()));
/// let told = calls.clone();
/// kernel.on_event(move |event| {
///     if let What::Called { function, .. } = &event.what {
///         told.lock().unwrap().push(*function);
///     }
/// });
/// // ... code of the driver ...
/// # unsafe { wsk_sys::ExFreePoolWithTag(wsk_sys::ExAllocatePoolWithTag(wsk_sys::POOL_TYPE::NonPagedPoolNx, 16, 1), 1) };
/// assert_eq!(*calls.lock().unwrap(), ["ExAllocatePoolWithTag", "ExFreePoolWithTag"]);
/// kernel.shutdown();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// The driver called a function: exported, or reached through a dispatch table.
    #[non_exhaustive]
    Called {
        /// The function's name.
        function: &'static str,
        /// Its arguments with their names, as the C prototype calls them; a number that has a name is told by it.
        arguments: String,
    },
    /// A function that takes an IRP returned to the driver.
    #[non_exhaustive]
    Returned {
        /// The function's name.
        function: &'static str,
        /// What it returned.
        status: NTSTATUS,
    },
    /// Something happened to an IRP.
    #[non_exhaustive]
    Irp {
        /// Counts the IRPs of this kernel, from 1.
        number: u64,
        /// Where it is.
        address: usize,
        /// What happened to it.
        step: IrpStep,
    },
    /// The provider called an event callback of the driver.
    #[non_exhaustive]
    Callback {
        /// The callback's name in the client dispatch table.
        function: &'static str,
        /// What it was called with.
        arguments: String,
    },
    /// The driver printed a line with `DbgPrint`.
    #[non_exhaustive]
    Print {
        /// What it printed.
        text: String,
    },
}

/// A step in the life of an IRP.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use wsk_host::{IrpStep, Kernel, What};
///
/// static CANCELLED: AtomicUsize = AtomicUsize::new(0);
///
/// let kernel = Kernel::boot();
/// // Counts the requests that the driver cancels.
/// kernel.on_event(|event| {
///     if let What::Irp { step: IrpStep::CancelRequested, .. } = event.what {
///         CANCELLED.fetch_add(1, Ordering::Relaxed);
///     }
/// });
/// // ... code of the driver ...
/// assert_eq!(CANCELLED.load(Ordering::Relaxed), 0);
/// kernel.shutdown();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IrpStep {
    /// `IoAllocateIrp` made it.
    Allocated,
    /// `IoInitializeIrp` built it in memory of the driver's.
    Initialized,
    /// `IoReuseIrp` made it new.
    Reused,
    /// The function took it: it belongs to the provider now.
    Started(&'static str),
    /// `IoMarkIrpPending` was called for it: it completes after the function has returned.
    Pending,
    /// `IoCancelIrp` was called for it.
    CancelRequested,
    /// It was completed.
    Completed(NTSTATUS, usize),
    /// A completion routine of the driver is called: the IRP is the driver's again.
    RoutineCalled,
    /// The completion routine returned this. The IRP may have been freed or sent again by then.
    RoutineReturned(NTSTATUS),
    /// `IoFreeIrp` released it.
    Freed,
}

impl Display for IrpStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocated => f.write_str("allocated by IoAllocateIrp"),
            Self::Initialized => f.write_str("built in place by IoInitializeIrp"),
            Self::Reused => f.write_str("made new by IoReuseIrp"),
            Self::Started(function) => write!(f, "started by {function}"),
            Self::Pending => f.write_str("marked pending"),
            Self::CancelRequested => f.write_str("asked to cancel by IoCancelIrp"),
            Self::Completed(status, information) => {
                write!(f, "completed: {status:?}, Information {information:#x}")
            }
            Self::RoutineCalled => f.write_str("completion routine called"),
            Self::RoutineReturned(status) => write!(f, "completion routine returned {status:?}"),
            Self::Freed => f.write_str("freed by IoFreeIrp"),
        }
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.irql {
            irql::PASSIVE_LEVEL => "PASSIVE ",
            irql::APC_LEVEL => "APC     ",
            irql::DISPATCH_LEVEL => "DISPATCH",
            _ => "above   ",
        };
        write!(f, "{:5} {level} {}", self.sequence, self.what)
    }
}

impl Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called {
                function,
                arguments,
            } => write!(f, "{function}({arguments})"),
            Self::Returned { function, status } => write!(f, "{function} -> {status:?}"),
            Self::Irp { number, step, .. } => write!(f, "  irp#{number} {step}"),
            Self::Callback {
                function,
                arguments,
            } => write!(f, "  callback {function}({arguments})"),
            Self::Print { text } => write!(f, "  DbgPrint: {}", text.trim_end()),
        }
    }
}

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// The first panic of a listener. It goes on when the kernel shuts down, and so ends the test.
static PANIC: Mutex<Option<Panic>> = Mutex::new(None);

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

static LISTENING: AtomicBool = AtomicBool::new(false);
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());

thread_local! {
    /// Whether a listener is running on this thread. Its own calls of the kernel are not reported.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether there is a listener. Callers ask before they format anything.
#[inline]
pub(crate) fn listening() -> bool {
    LISTENING.load(Ordering::Relaxed)
}

/// Adds a listener.
pub(crate) fn listen(listener: Listener) {
    LISTENERS.write().push(listener);
    LISTENING.store(true, Ordering::Relaxed);
}

/// Removes all listeners, and restarts the count of events.
pub(crate) fn reset() {
    LISTENING.store(false, Ordering::Relaxed);
    LISTENERS.write().clear();
    SEQUENCE.store(0, Ordering::Relaxed);
}

#[cold]
fn tell(what: What) {
    if TELLING.replace(true) {
        return;
    }
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1;
    let event = Event {
        sequence,
        irql: irql::current(),
        what,
    };
    let listeners = LISTENERS.read().clone();
    for listener in listeners {
        // A panic must not unwind into the caller, which may be code that can't unwind, or the thread of a processor.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(&event))) {
            LISTENERS
                .write()
                .retain(|other| !Arc::ptr_eq(other, &listener));
            PANIC.lock().get_or_insert(panic);
        }
    }
    TELLING.set(false);
}

/// The panic of a listener, if one has panicked.
pub(crate) fn take_panic() -> Option<Panic> {
    PANIC.lock().take()
}

/// Reports a call.
#[cold]
pub(crate) fn called(function: &'static str, arguments: &names::Arguments<'_>) {
    tell(What::Called {
        function,
        arguments: names::line(function, arguments),
    });
}

/// Reports a return.
#[inline]
pub(crate) fn returned(function: &'static str, status: NTSTATUS) -> NTSTATUS {
    if listening() {
        tell(What::Returned { function, status });
    }
    status
}

/// Reports a step of an IRP.
#[inline]
pub(crate) fn irp(number: u64, address: usize, step: IrpStep) {
    if listening() {
        tell(What::Irp {
            number,
            address,
            step,
        });
    }
}

/// Reports a callback.
pub(crate) fn callback(function: &'static str, arguments: fmt::Arguments<'_>) {
    if listening() {
        tell(What::Callback {
            function,
            arguments: arguments.to_string(),
        });
    }
}

/// Reports a printed line.
pub(crate) fn print(text: &str) {
    if listening() {
        tell(What::Print {
            text: text.to_owned(),
        });
    }
}
