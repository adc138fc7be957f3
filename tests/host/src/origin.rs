//! The origin of an object: the call that made it, the thread, and the driver's frames that led there. Stands for the stack traces
//! that Driver Verifier keeps for `!verifier` and `!irp`.

use core::fmt::{self, Display};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

/// Whether origins record frames. It is an option of the builder, because a capture takes some microseconds.
static FRAMES: AtomicBool = AtomicBool::new(true);
static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);
static THREAD_NAMES: Mutex<Vec<Box<str>>> = Mutex::new(Vec::new());

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// The number of the current thread, which never changes and is never reused.
#[inline]
pub(crate) fn thread_number() -> u32 {
    THREAD.with(|number| match number.get() {
        0 => {
            let mut names = THREAD_NAMES.lock();
            let new = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
            names.push(std::thread::current().name().unwrap_or("unnamed").into());
            number.set(new);
            new
        }
        known => known,
    })
}

/// Whether a thread has or had this number. 0 stands for no thread.
pub(crate) fn is_thread_number(number: usize) -> bool {
    number < NEXT_THREAD.load(Ordering::Relaxed) as usize
}

/// A thread, displayed by number and name.
#[derive(Clone, Copy)]
pub(crate) struct Thread(pub(crate) u32);

/// The current thread.
pub(crate) fn current_thread() -> Thread {
    Thread(thread_number())
}

impl Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = THREAD_NAMES.lock();
        let name = (self.0 as usize)
            .checked_sub(1)
            .and_then(|index| names.get(index))
            .map_or("unnamed", |name| name);
        write!(f, "thread {} ({name})", self.0)
    }
}

/// Chooses whether origins record frames.
pub(crate) fn record_frames(record: bool) {
    FRAMES.store(record, Ordering::Relaxed);
}

std::thread_local! {
    /// The number of the driver whose code this thread runs, or that it works for; 0 for a driver that was not loaded as a whole.
    static DRIVER: Cell<u32> = const { Cell::new(0) };
}

/// The driver that this thread works for.
pub(crate) fn driver() -> u32 {
    DRIVER.get()
}

/// Runs `body` for a driver.
pub(crate) fn for_driver<R>(driver: u32, body: impl FnOnce() -> R) -> R {
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            DRIVER.set(self.0);
        }
    }
    let _restore = Restore(DRIVER.replace(driver));
    body()
}

/// The drivers whose objects a search is for.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    Anybodys,
    Drivers(u32),
}

impl Whose {
    /// Whether the search includes the driver with this number.
    pub(crate) fn is(self, driver: u32) -> bool {
        match self {
            Self::Anybodys => true,
            Self::Drivers(wanted) => wanted == driver,
        }
    }
}

/// The place where an object was made.
pub(crate) struct Origin {
    function: &'static str,
    thread: u32,
    /// The driver that made it.
    driver: u32,
    backtrace: Option<Box<Backtrace>>,
}

impl Origin {
    /// The current place, reached through the exported `function`.
    pub(crate) fn here(function: &'static str) -> Self {
        let backtrace = FRAMES
            .load(Ordering::Relaxed)
            .then(|| Box::new(Backtrace::force_capture()));
        Self {
            function,
            thread: thread_number(),
            driver: driver(),
            backtrace,
        }
    }

    /// The driver that made it.
    pub(crate) fn driver(&self) -> u32 {
        self.driver
    }

    /// The frames alone, indented, with one on each line.
    pub(crate) fn frames(&self) -> impl Display + '_ {
        Frames(self.backtrace.as_deref())
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}{}",
            self.function,
            Thread(self.thread),
            self.frames()
        )
    }
}

/// The function of the kernel, exported or dispatched, that the driver has called and that this thread is in; `None` while the
/// driver's own code runs.
pub(crate) fn host_function() -> Option<String> {
    host_function_of(&Backtrace::force_capture().to_string())
}

/// The same, of the text of a backtrace.
fn host_function_of(text: &str) -> Option<String> {
    // When the system has called an exception handler, the frames of the fault come after those of the handler.
    let handled = frames(text).position(|frame| frame.name.starts_with(DISPATCHES_EXCEPTIONS));
    frames(text)
        .skip(handled.map_or(0, |position| position + 1))
        .take_while(Frame::is_plumbing)
        .filter_map(|frame| {
            let last = frame.name.rsplit("::").next()?;
            // Some such functions lack the usual prefixes. Among the functions of the host kernel, only they begin with a capital
            // letter. Functions of a sanitizer do so too.
            let exported = is_exported(last)
                || frame.place.is_some_and(is_own)
                    && last.starts_with(|first: char| first.is_ascii_uppercase())
                    && last.bytes().all(|byte| byte.is_ascii_alphanumeric());
            exported.then(|| last.to_owned())
        })
        .last()
}

/// The function of Windows that calls exception handlers. Its exported name and its name in Microsoft's symbol files share this
/// beginning.
const DISPATCHES_EXCEPTIONS: &str = "KiUserExceptionDispatch";

/// A frame of a backtrace.
struct Frame<'t> {
    name: &'t str,
    /// The file, line and column, if known.
    place: Option<&'t str>,
}

/// The frames in the text of a backtrace. Each is a line `N: name`, followed by a line `at file:line:column` if the place is known.
fn frames(text: &str) -> impl Iterator<Item = Frame<'_>> {
    let mut lines = text.lines().map(str::trim).peekable();
    core::iter::from_fn(move || {
        loop {
            let Some((_, name)) = lines.next()?.split_once(": ") else {
                continue;
            };
            let place = lines.peek().and_then(|line| line.strip_prefix("at "));
            return Some(Frame { name, place });
        }
    })
}

impl Frame<'_> {
    /// Whether the frame says nothing about the driver: it is one of the host kernel, of the standard library, or of the code that
    /// starts threads and tests. A known place decides, because names of inlined functions do not.
    fn is_plumbing(&self) -> bool {
        // The host kernel's own tests count as drivers.
        if self.name.contains("::tests::") {
            return false;
        }
        is_plumbing(self.name) || self.place.is_some_and(is_plumbed_at)
    }
}

/// Whether the code at a place of a backtrace belongs to the host kernel, the standard library or a sanitizer.
fn is_plumbed_at(place: &str) -> bool {
    let of_rust = || {
        place
            .replace('\\', "/")
            .contains("rustlib/src/rust/library")
    };
    place.starts_with("/rustc/") || of_rust() || is_own(place)
}

/// Whether the code at a place of a backtrace belongs to the host kernel.
fn is_own(place: &str) -> bool {
    const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    // Backtraces shorten paths below the working directory to the rest of the path.
    let rest = place.strip_prefix("./").or(place.strip_prefix(".\\"));
    match (rest, std::env::current_dir()) {
        (Some(rest), Ok(directory)) => directory.join(rest).starts_with(OWN),
        _ => std::path::Path::new(place).starts_with(OWN),
    }
}

struct Frames<'b>(Option<&'b Backtrace>);

impl Display for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        writeln!(f)?;
        let Some(backtrace) = self.0 else {
            return Ok(());
        };
        let text = backtrace.to_string();
        let mut drivers = frames(&text).filter(|frame| !frame.is_plumbing());
        let mut shown = 0;
        for frame in drivers.by_ref().take(SHOWN) {
            shown += 1;
            writeln!(f, "        {}", frame.name)?;
            if let Some(place) = frame.place {
                writeln!(f, "            {place}")?;
            }
        }
        if shown == 0 {
            writeln!(f, "        (no frames of the driver are known)")?;
        }
        if drivers.next().is_some() {
            writeln!(f, "        ...")?;
        }
        Ok(())
    }
}

/// Whether a function with this name says nothing about the driver. Functions of the host kernel's own tests do say something.
fn is_plumbing(name: &str) -> bool {
    const PLUMBING: [&str; 21] = [
        // Functions of the C library that copy and fill memory, with their variants for each processor.
        "__mem",
        "memcpy",
        "memmove",
        "memset",
        "std::",
        "core::",
        "alloc::",
        "<alloc::",
        "<core::",
        "<std::",
        "<fn(",
        "<F as ",
        "test::",
        "<wsk_host::",
        "wsk_host::",
        "__rust",
        "rust_begin",
        "_start",
        "__libc_start",
        "__scrt_common_main",
        DISPATCHES_EXCEPTIONS,
    ];
    const SYSTEM: [&str; 9] = [
        "start_thread",
        "clone",
        "clone3",
        "<unknown>",
        // Functions of Windows and Wine.
        "BaseThreadInitThunk",
        "RtlUserThreadStart",
        "invoke_main",
        "call_vectored_handlers",
        "dispatch_exception",
    ];
    is_exported(name)
        || SYSTEM.contains(&name)
        || PLUMBING.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a function's name looks like that of an exported function of the kernel.
fn is_exported(name: &str) -> bool {
    const PREFIXES: [&str; 15] = [
        "Io", "Iof", "Ke", "Kf", "Mm", "Nmr", "Ex", "Ps", "Ob", "Obf", "Try", "Zw", "Rtl", "Dbg",
        "Wsk",
    ];
    PREFIXES.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_uppercase())
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{frames, host_function_of, is_plumbing};

    #[test]
    fn frames_are_read_off_a_backtrace() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/origin.rs:72:31");
        let text = format!(
            "   0: {{closure#0}}\n             at {own}\n   1: IoAllocateIrp\n   2: send<u8>\n             at /elsewhere/src/origin.rs:3:4\n\
             \x20  3: core::ops::call_once\n"
        );
        let read: Vec<_> = frames(&text)
            .map(|frame| (frame.name, frame.place, frame.is_plumbing()))
            .collect();
        assert_eq!(
            read,
            [
                ("{closure#0}", Some(own), true),
                ("IoAllocateIrp", None, true),
                ("send<u8>", Some("/elsewhere/src/origin.rs:3:4"), false),
                ("core::ops::call_once", None, true),
            ]
        );
    }

    #[test]
    fn a_function_of_a_sanitizer_is_none_of_the_kernel() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rtl/mod.rs:7:5");
        let handler = "   0: CallUserSignalHandler\n             at /rustc/llvm/src/tsan/rtl/interceptors.cpp:2222:5\n   1: <unknown>\n";
        let of_driver = format!("{handler}   2: my_driver::read\n   3: IoCompleteRequest\n");
        assert_eq!(host_function_of(&of_driver), None);
        let of_kernel =
            format!("{handler}   2: RtlMoveMemory\n             at {own}\n   3: my_driver::read\n");
        assert_eq!(
            host_function_of(&of_kernel).as_deref(),
            Some("RtlMoveMemory")
        );
        // A name without the usual prefixes.
        let by_place = format!(
            "{handler}   2: FooOfTheKernel\n             at {own}\n   3: my_driver::read\n"
        );
        assert_eq!(
            host_function_of(&by_place).as_deref(),
            Some("FooOfTheKernel")
        );
    }

    #[test]
    fn names_and_places_are_known_as_windows_has_them() {
        let text = "   0: core::ptr::drop_in_place<my_driver::Socket>\n   1: my_driver::impl$0::closed::closure$0\n             \
            at C:\\my_driver\\src\\lib.rs:12\n   2: enum2$<core::option::Option<my_driver::Socket> >::unwrap\n             \
            at C:\\Users\\me\\toolchain\\lib/rustlib/src/rust\\library\\core\\src\\option.rs:7\n   \
            3: KiUserExceptionDispatch\n   4: __scrt_common_main_seh\n   5: wsk_host::irp::IoAllocateIrp\n";
        let drivers: Vec<_> = frames(text)
            .filter(|frame| !frame.is_plumbing())
            .map(|frame| frame.name)
            .collect();
        assert_eq!(drivers, ["my_driver::impl$0::closed::closure$0"]);
    }

    #[test]
    fn frames_of_the_driver_are_told_apart() {
        assert!(is_plumbing("std::rt::lang_start"));
        assert!(is_plumbing("wsk_host::irp::complete"));
        assert!(is_plumbing("IoAllocateIrp"));
        assert!(is_plumbing("WskRegister"));
        assert!(!is_plumbing("my_driver::send"));
        assert!(!is_plumbing("DriverEntry"));
        assert!(!is_plumbing("KeepAlive::start"));
    }
}
