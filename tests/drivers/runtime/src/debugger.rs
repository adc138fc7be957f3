//! Prints lines to the kernel debugger, like `DbgPrint`, and `KdPrint` in C drivers.

use core::ffi::CStr;
use core::fmt;

use wsk::{Call, Error, NTSTATUS};
use wsk_sys::DbgPrint;

/// The length that means that a string ends with a zero.
const WHOLE: usize = 0x7FFF_FFFF;
/// The bytes that are printed at once: `DbgPrint` cuts off what is beyond 512.
const LINE: usize = 256;

/// Prints the call that failed, and returns the status to answer with: `first-driver: WskBind failed: 0xC000020A`. It does not
/// use `core::fmt`, so that a driver that prints nothing else stays small. IRQL: `<= DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk::{Error, NTSTATUS, Registration, Wait};
///
/// fn load() -> Result<Registration, NTSTATUS> {
///     let failed = |error: Error| wsk_driver::report(c"first-driver", error);
///     let registration = Registration::new().map_err(failed)?;
///     registration.capture(Wait::No).map_err(failed)?;
///     Ok(registration)
/// }
/// # load().unwrap();
/// # kernel.shutdown();
/// ```
pub fn report(driver: &CStr, error: Error) -> NTSTATUS {
    let what = match error {
        // The provider's table lacks the entry, or the entry cannot take the argument.
        Error::NoEntry { entry } | Error::TooLong { entry } => (entry.as_ptr(), entry.len()),
        _ => {
            let call = error.call().map_or(c"the driver", Call::name);
            (call.as_ptr().cast(), WHOLE)
        }
    };
    let status = NTSTATUS::from(error);
    // SAFETY: a string that ends with a zero; a length, and as many bytes, or fewer and a zero; and a number, as the format
    // requires.
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

/// Prints what has failed, with its status: `first-driver: the handshake failed: 0xC00000C3`. It does not use `core::fmt`. IRQL:
/// `<= DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// let status = wsk_sys::STATUS_INVALID_NETWORK_RESPONSE;
/// wsk_driver::report_status(c"first-driver", c"the handshake", status);
/// # kernel.shutdown();
/// ```
pub fn report_status(driver: &CStr, what: &CStr, status: NTSTATUS) {
    // SAFETY: two strings that end with a zero, and a number, as the format requires.
    unsafe {
        DbgPrint(
            c"%s: %s failed: 0x%08X\n".as_ptr().cast(),
            driver.as_ptr(),
            what.as_ptr(),
            status.0,
        );
    }
}

/// Prints a count: `first-driver: 12 datagrams sent`. It does not use `core::fmt`. IRQL: `<= DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// wsk_driver::report_count(c"first-driver", 12, c"datagrams sent");
/// # kernel.shutdown();
/// ```
pub fn report_count(driver: &CStr, count: u64, of: &CStr) {
    // SAFETY: a string that ends with a zero, a 64-bit number, and another string, as the format requires.
    unsafe {
        DbgPrint(
            c"%s: %llu %s\n".as_ptr().cast(),
            driver.as_ptr(),
            count,
            of.as_ptr(),
        );
    }
}

/// Prints a formatted line to the debugger, like `std::println!`. IRQL: `<= DISPATCH_LEVEL`.
///
/// It brings the code of `core::fmt` into the driver; [`report`](crate::report) does not.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
/// # let to = lines.clone();
/// # kernel.on_event(move |event| {
/// #     if let wsk_host::What::Print { text, .. } = &event.what {
/// #         to.lock().unwrap().push(text.clone());
/// #     }
/// # });
/// wsk_driver::println!("listening on port {}", 7777);
/// # kernel.shutdown();
/// # assert_eq!(*lines.lock().unwrap(), ["listening on port 7777\n"]);
/// ```
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::Debugger::print(::core::format_args!($($arguments)*))
    };
}

/// A writer to the debugger. It prints text at the end of a line, when the line is too long, and when it is dropped. IRQL: `<=
/// DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use core::fmt::Write;
/// use wsk_driver::Debugger;
///
/// let mut debugger = Debugger::new();
/// for byte in [0xDE_u8, 0xAD] {
///     write!(debugger, "{byte:02x} ")?;
/// }
/// drop(debugger);
/// # kernel.shutdown();
/// # Ok::<(), core::fmt::Error>(())
/// ```
#[derive(Debug)]
pub struct Debugger {
    bytes: [u8; LINE],
    length: usize,
}

impl Debugger {
    /// A writer with no text yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; LINE],
            length: 0,
        }
    }

    /// Prints a line for [`println!`](crate::println).
    pub fn print(line: fmt::Arguments<'_>) {
        // This never fails.
        let _ = fmt::write(&mut Self::new(), format_args!("{line}\n"));
    }

    fn flush(&mut self) {
        let line = self.bytes.get(..self.length).unwrap_or_default();
        if !line.is_empty() {
            // SAFETY: a length, and as many bytes, as the format requires.
            unsafe { DbgPrint(c"%.*s".as_ptr().cast(), line.len(), line.as_ptr()) };
        }
        self.length = 0;
    }
}

impl Default for Debugger {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Debugger {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
            if byte == b'\n' || self.length == LINE {
                self.flush();
            }
        }
        Ok(())
    }
}

impl Drop for Debugger {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A logger for the crate `log` that prints to the debugger, at up to `DISPATCH_LEVEL`: `first-driver: WARN: no answer`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
/// # let to = lines.clone();
/// # kernel.on_event(move |event| {
/// #     if let wsk_host::What::Print { text, .. } = &event.what {
/// #         to.lock().unwrap().push(text.clone());
/// #     }
/// # });
/// use wsk_driver::Logger;
///
/// static LOGGER: Logger = Logger::new("first-driver");
///
/// // In `DriverEntry`.
/// LOGGER.install(log::LevelFilter::Info);
/// log::warn!("no answer from {}", "192.0.2.1:7");
/// log::debug!("not wanted");
/// # kernel.shutdown();
/// # assert_eq!(*lines.lock().unwrap(), ["first-driver: WARN: no answer from 192.0.2.1:7\n"]);
/// ```
#[cfg(feature = "log")]
#[derive(Debug)]
pub struct Logger {
    driver: &'static str,
}

#[cfg(feature = "log")]
impl Logger {
    /// A logger for a driver with this name.
    #[must_use]
    pub const fn new(driver: &'static str) -> Self {
        Self { driver }
    }

    /// Makes the macros of `log` print records of this level or a more severe one. If there is a logger already, it stays.
    pub fn install(&'static self, level: log::LevelFilter) {
        if log::set_logger(self).is_ok() {
            log::set_max_level(level);
        }
    }
}

#[cfg(feature = "log")]
impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            crate::println!("{}: {}: {}", self.driver, record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::string::String;
    use std::sync::{Arc, Mutex};
    use std::vec::Vec;

    use wsk_host::{Kernel, What};

    use super::{Debugger, LINE};

    /// The printed text, piece by piece.
    fn printed(write: impl FnOnce(&mut Debugger)) -> Vec<String> {
        let kernel = Kernel::boot();
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let to = pieces.clone();
        kernel.on_event(move |event| {
            if let What::Print { text, .. } = &event.what {
                to.lock().unwrap().push(text.clone());
            }
        });
        let mut debugger = Debugger::new();
        write(&mut debugger);
        drop(debugger);
        kernel.shutdown();
        let pieces = pieces.lock().unwrap();
        pieces.clone()
    }

    #[test]
    fn lines_are_printed_as_lines() {
        let pieces = printed(|debugger| write!(debugger, "one\ntwo {}\nthe rest", 2).unwrap());
        assert_eq!(pieces, ["one\n", "two 2\n", "the rest"]);
        assert!(printed(|_| {}).is_empty());
    }

    #[test]
    fn nothing_of_a_long_line_is_lost() {
        let long = "0123456789".repeat(LINE / 4);
        let pieces = printed(|debugger| debugger.write_str(&long).unwrap());
        assert!(pieces.iter().all(|piece| piece.len() <= LINE));
        assert_eq!(pieces.concat(), long);
    }

    #[test]
    fn text_that_looks_like_a_format_is_none() {
        assert_eq!(
            printed(|debugger| debugger.write_str("100 %s\n").unwrap()),
            ["100 %s\n"]
        );
    }
}
