//! Bug checks: how the host kernel stops when a rule is broken. Stands for `KeBugCheckEx` and the blue screen.
//!
//! A report goes to standard error (past the capture of the test harness) and the process aborts: unwinding out of an
//! `extern "system"` function is not possible, and code that broke a rule of the kernel must not run on.

use core::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::irql;
use crate::origin::{self, Origin};

/// The number of a bug check, with the name that Windows gives it.
///
/// ```
/// use wsk_host::BugCheckCode;
///
/// let code = BugCheckCode::MULTIPLE_IRP_COMPLETE_REQUESTS;
/// assert_eq!(code.0, 0x44);
/// assert_eq!(code.to_string(), "0x00000044 MULTIPLE_IRP_COMPLETE_REQUESTS");
/// // A number that only a driver raises.
/// assert_eq!(BugCheckCode(0xDEAD).name(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BugCheckCode(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal),* $(,)?) => {
        #[allow(missing_docs, reason = "each is documented by its name")]
        impl BugCheckCode {
            $(pub const $name: Self = Self($value);)*

            /// The documented name, or `None` for a number that the host kernel never raises itself.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    APC_INDEX_MISMATCH = 0x01,
    IRQL_NOT_LESS_OR_EQUAL = 0x0A,
    MAXIMUM_WAIT_OBJECTS_EXCEEDED = 0x0C,
    SPIN_LOCK_ALREADY_OWNED = 0x0F,
    SPIN_LOCK_NOT_OWNED = 0x10,
    REFERENCE_BY_POINTER = 0x18,
    KMODE_EXCEPTION_NOT_HANDLED = 0x1E,
    KERNEL_APC_PENDING_DURING_EXIT = 0x20,
    NO_MORE_IRP_STACK_LOCATIONS = 0x35,
    TARGET_MDL_TOO_SMALL = 0x40,
    MULTIPLE_IRP_COMPLETE_REQUESTS = 0x44,
    PFN_LIST_CORRUPT = 0x4E,
    DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS = 0x76,
    INVALID_KERNEL_HANDLE = 0x93,
    BAD_POOL_CALLER = 0xC2,
    TIMER_OR_DPC_INVALID = 0xC7,
    IRQL_UNEXPECTED_VALUE = 0xC8,
    DRIVER_VERIFIER_DETECTED_VIOLATION = 0xC4,
    DRIVER_VERIFIER_IOMANAGER_VIOLATION = 0xC9,
    DRIVER_LEFT_LOCKED_PAGES_IN_SYSTEM = 0xCB,
    PAGE_FAULT_IN_FREED_SPECIAL_POOL = 0xCC,
    DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS = 0xCE,
    PAGE_FAULT_BEYOND_END_OF_ALLOCATION = 0xCD,
    DRIVER_IRQL_NOT_LESS_OR_EQUAL = 0xD1,
    SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION = 0xC1,
    MANUALLY_INITIATED_CRASH = 0xE2,
    KERNEL_SECURITY_CHECK_FAILURE = 0x139,
}

impl Display for BugCheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "0x{:08X} {}",
            self.0,
            self.name().unwrap_or("(raised by the driver)")
        )
    }
}

/// The first parameter of [`BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION`] for the rules that the host kernel checks.
pub(crate) mod violation {
    pub(crate) const ZERO_BYTE_ALLOCATION: usize = 0x00;
    pub(crate) const PAGED_ALLOCATION_IRQL: usize = 0x01;
    pub(crate) const NONPAGED_ALLOCATION_IRQL: usize = 0x02;
    pub(crate) const PAGED_FREE_IRQL: usize = 0x11;
    pub(crate) const RAISE_IRQL: usize = 0x30;
    pub(crate) const LOWER_IRQL: usize = 0x31;
    pub(crate) const RELEASE_SPIN_LOCK_IRQL: usize = 0x32;
    pub(crate) const RELEASE_FAST_MUTEX_IRQL: usize = 0x34;
    pub(crate) const BAD_HANDLE: usize = 0x3C;
    pub(crate) const BAD_REFERENCE: usize = 0x3F;
    pub(crate) const ACQUIRE_AT_DPC_LEVEL_IRQL: usize = 0x40;
    pub(crate) const RELEASE_FROM_DPC_LEVEL_IRQL: usize = 0x41;
    pub(crate) const ACQUIRE_SPIN_LOCK_IRQL: usize = 0x42;
    pub(crate) const WRITTEN_PAST_END: usize = 0x51;
    pub(crate) const UNLOCK_NEVER_LOCKED: usize = 0x7C;
    pub(crate) const UNLOCK_NONPAGED: usize = 0x7D;
    pub(crate) const BUILD_FROM_PAGED: usize = 0x7F;
    pub(crate) const PAGED_OBJECT: usize = 0xDF;
    pub(crate) const LOCK_WRONG_FLAGS: usize = 0xB0;
    pub(crate) const MAP_WRONG_FLAGS: usize = 0xB2;
    pub(crate) const SET_EVENT_IRQL: usize = 0x80;
    pub(crate) const MAP_NOT_LOCKED: usize = 0xB3;
    pub(crate) const UNLOCK_PARTIAL: usize = 0xB4;
    pub(crate) const FREE_MAPPED_MDL: usize = 0xB8;
    pub(crate) const WRONG_IRQL: usize = 0xE5;
    pub(crate) const CALLBACK_IRQL: usize = 0xF9;
    pub(crate) const COMPLETION_ROUTINE_IRQL: usize = 0xFA;
    pub(crate) const POOL_FREE_OF_IRP: usize = 0x105;
    pub(crate) const WAIT_ABOVE_DISPATCH: usize = 0x120;
    pub(crate) const WAIT_FOREVER_AT_DISPATCH: usize = 0x121;
    pub(crate) const WAIT_AT_DISPATCH: usize = 0x122;
    pub(crate) const LEFT_POOL: usize = 0x62;
    pub(crate) const LOCK_ORDER: usize = 0x1001;
    pub(crate) const LOCK_UNINITIALIZED: usize = 0x1002;
    pub(crate) const LOCK_FREED: usize = 0x1007;
    pub(crate) const EXECUTABLE_POOL: usize = 0x2000;
    /// The rules of the WSK reference pages. Driver Verifier has no number for them.
    pub(crate) const WSK_CONTRACT: usize = 0x5753_4B00;
    /// The same for the reference pages of other functions.
    pub(crate) const OTHER_CONTRACT: usize = 0x5753_4B01;
    pub(crate) const SELF_DEADLOCK: usize = 0x1000;
    pub(crate) const UNINITIALIZED_RESOURCE: usize = 0x1002;
    pub(crate) const UNEXPECTED_RELEASE: usize = 0x1003;
    pub(crate) const MULTIPLE_INITIALIZATION: usize = 0x1005;
    pub(crate) const THREAD_HOLDS_RESOURCES: usize = 0x1006;
}

/// The first parameter of [`BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION`] for the rules that are checked.
pub(crate) mod io_violation {
    pub(crate) const FREE_NOT_AN_IRP: usize = 0x01;
    pub(crate) const COMPLETED_PENDING: usize = 0x06;
    pub(crate) const COMPLETED_CANCELABLE: usize = 0x07;
    pub(crate) const UNKNOWN: usize = 0x200;
    pub(crate) const SENT_WHILE_IN_USE: usize = 0x205;
    pub(crate) const FREED_WHILE_IN_USE: usize = 0x20B;
    pub(crate) const INITIALIZED_ALLOCATED: usize = 0x20D;
}

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Reports and aborts. `story` describes the objects involved, each with its history.
#[cold]
pub(crate) fn stop(
    code: BugCheckCode,
    parameters: [usize; 4],
    rule: &dyn Display,
    story: &[&dyn Display],
) -> ! {
    if STOPPED.swap(true, Ordering::SeqCst) {
        // Another processor is stopping the system, so this one freezes.
        loop {
            std::thread::park();
        }
    }
    let mut report = String::new();
    let [first, second, third, fourth] = parameters;
    let _ = writeln!(
        report,
        "\n*** STOP: {code} (0x{first:X}, 0x{second:X}, 0x{third:X}, 0x{fourth:X})"
    );
    let _ = writeln!(report, "rule broken: {rule}");
    let _ = writeln!(
        report,
        "on {} at {}",
        origin::current_thread(),
        irql::name(irql::current())
    );
    for part in story {
        let _ = writeln!(report, "{part}");
    }
    let _ = write!(report, "stopped in:{}", Origin::here("").frames());
    if let Some(seed) = crate::schedule::seed_in_use() {
        let _ = writeln!(report, "completions were scheduled with seed {seed}");
    }
    let _ = std::io::stderr().lock().write_all(report.as_bytes());
    std::process::abort()
}

/// Stops with [`stop`], formatting the rule.
macro_rules! bugcheck {
    ($code:ident($($parameter:expr),*), [$($story:expr),* $(,)?], $($rule:tt)+) => {
        $crate::bugcheck::stop(
            $crate::bugcheck::BugCheckCode::$code,
            [$($parameter),*],
            &format_args!($($rule)+),
            &[$(&$story),*],
        )
    };
}
pub(crate) use bugcheck;
