//! Tests that code stops the system. They run the code in a child process, because a bug check ends the process.

mod child;

use core::cell::RefCell;
use core::fmt::{self, Display};
use core::panic::Location;
use std::collections::HashMap;
use std::time::Duration;

use child::Ended;

/// Tells the child which call of [`expect_bugcheck`] to run.
const VARIABLE: &str = "WSK_HOST_EXPECT_BUGCHECK";
/// The time limit of a child.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child process that was stopped by a bug check has printed.
///
/// ```no_run
/// use wsk_host::{Kernel, testing::BugCheck, testing::expect_bugcheck};
///
/// #[test]
/// fn allocating_nothing() {
///     let stopped: BugCheck = expect_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", || {
///         let _kernel = Kernel::boot();
///         // SAFETY: of no bytes, against the rule: the host kernel stops the process.
///         unsafe { wsk_sys::ExAllocatePoolWithTag(wsk_sys::POOL_TYPE::NonPagedPoolNx, 0, 1) };
///     });
///     stopped.tells("ExAllocatePoolWithTag");
/// }
/// ```
#[derive(Clone, Debug)]
pub struct BugCheck {
    /// `None` in a child that runs for another call and skips this one.
    report: Option<String>,
}

impl BugCheck {
    /// The report: the bug check with its parameters, the rule, the histories.
    #[must_use]
    pub fn report(&self) -> &str {
        self.report.as_deref().unwrap_or_default()
    }

    /// Asserts that the report contains `text`.
    ///
    /// # Panics
    ///
    /// When it doesn't.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        reason = "it is called for its panic; the result is for chaining"
    )]
    pub fn tells(&self, text: &str) -> &Self {
        let told = self
            .report
            .as_ref()
            .is_none_or(|report| report.contains(text));
        assert!(told, "the report doesn't contain {text:?}:\n{self}");
        self
    }
}

impl Display for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report())
    }
}

/// Asserts that `body` stops the system with the bug check `code`, which is a name such as
/// `MULTIPLE_IRP_COMPLETE_REQUESTS`, or a number such as `0x44`.
///
/// The current test program is run once more, with this very test alone; there `body` is run, here the outcome is looked
/// at. So what the test did before the call is done in the child too.
///
/// # Panics
///
/// When `body` returns, ends in another way, takes longer than a minute, or stops the system with another code.
///
/// ```no_run
/// use wsk_host::{Kernel, testing::expect_bugcheck};
///
/// #[test]
/// fn freeing_twice() {
///     expect_bugcheck("BAD_POOL_CALLER", || {
///         let _kernel = Kernel::boot();
///         // SAFETY: freed twice, against the rule, at which the host kernel stops the process: it keeps account of blocks that were
///         // freed, and touches none of them.
///         unsafe {
///             let block = wsk_sys::ExAllocatePoolWithTag(wsk_sys::POOL_TYPE::NonPagedPoolNx, 16, 1);
///             wsk_sys::ExFreePool(block);
///             wsk_sys::ExFreePool(block);
///         }
///     });
/// }
/// ```
#[track_caller]
pub fn expect_bugcheck<F: FnOnce()>(code: &str, body: F) -> BugCheck {
    let test = test_name::<F>();
    let key = key(&test, Location::caller());
    match std::env::var(VARIABLE) {
        Ok(wanted) if wanted == key => {
            body();
            // Does not panic, because a test with `should_panic` would take the panic for the expected one.
            eprintln!("no bug check");
            std::process::exit(86);
        }
        Ok(_) => return BugCheck { report: None },
        Err(_) => {}
    }
    let Ended {
        status,
        output,
        errors: report,
    } = child::run(&test, VARIABLE, &key, PATIENCE);
    let Some(status) = status else {
        panic!("{test}: no bug check within {PATIENCE:?}; expected {code}\n{report}\n{output}");
    };
    assert!(
        aborted(status),
        "{test}: expected {code}, but the child ended with {status}\n{report}\n{output}"
    );
    let stop = report
        .lines()
        .find(|line| line.starts_with("*** STOP: "))
        .unwrap_or("no bug check was reported");
    let number = code
        .strip_prefix("0x")
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let expected = match number {
        Some(number) => stop.contains(&format!("0x{number:08X} ")),
        None => stop.split_whitespace().any(|word| word == code),
    };
    assert!(
        expected,
        "{test}: expected {code}, but the system stopped with another:\n{report}"
    );
    BugCheck {
        report: Some(report),
    }
}

/// Identifies a call by its place in the source, and by the number of times that the test has come there.
fn key(test: &str, place: &Location<'_>) -> String {
    std::thread_local! {
        static SEEN: RefCell<HashMap<String, u32>> = RefCell::default();
    }
    let key = format!("{test} at {place}");
    let times = SEEN.with_borrow_mut(|seen| {
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        *times
    });
    format!("{key}#{times}")
}

#[cfg(unix)]
fn aborted(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    // SIGABRT has this number wherever Rust's standard library runs.
    status.signal() == Some(6)
}

#[cfg(not(unix))]
fn aborted(status: std::process::ExitStatus) -> bool {
    !status.success() && status.code() != Some(86) && status.code() != Some(101)
}

/// The name of the running test in the test harness. It is the name of the thread, or, where tests run on the main thread, the path
/// of the function that `F` was written in.
fn test_name<F>() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => {
            let path = core::any::type_name::<F>().trim_end_matches("::{{closure}}");
            path.split_once("::")
                .map_or(path, |(_, test)| test)
                .to_owned()
        }
    }
}
