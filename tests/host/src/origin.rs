//! Where an object came from: the call that made it, the thread, and the frames of the driver that led there.
//! Stands for the stack traces that Driver Verifier keeps for `!verifier` and `!irp`.

use core::fmt::{self, Display};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

/// Whether frames are recorded; a builder option, since capturing costs some microseconds.
static FRAMES: AtomicBool = AtomicBool::new(true);
static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);
static THREAD_NAMES: Mutex<Vec<Box<str>>> = Mutex::new(Vec::new());

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// A number for the current thread, stable for its life and never reused.
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

/// Shows a thread by number and name.
#[derive(Clone, Copy)]
pub(crate) struct Thread(pub(crate) u32);

/// The current thread, to be shown.
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

/// Where something was made.
pub(crate) struct Origin {
    function: &'static str,
    thread: u32,
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
            backtrace,
        }
    }

    /// The frames alone, one a line, indented.
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

/// The function of the kernel that this thread is in: the exported, or dispatched, one that the driver has called, unless the
/// driver's code runs just now.
pub(crate) fn host_function() -> Option<String> {
    let text = Backtrace::force_capture().to_string();
    let mut lines = text.lines().map(str::trim).peekable();
    let mut exported = None;
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.split_once(": ") else {
            continue;
        };
        let place = lines.peek().and_then(|line| line.strip_prefix("at "));
        if !is_plumbing(name) && !place.is_some_and(is_plumbed_at) {
            break;
        }
        let last = name.rsplit("::").next().unwrap_or(name);
        if is_exported(last) {
            exported = Some(last.to_owned());
        }
    }
    exported
}

/// Whether code at a place of a backtrace is the host kernel's, or the standard library's. The names of what was inlined don't tell.
fn is_plumbed_at(place: &str) -> bool {
    const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    if place.starts_with("/rustc/") {
        return true;
    }
    // Backtraces name what lies below the working directory by the rest of its path.
    match (place.strip_prefix("./"), std::env::current_dir()) {
        (Some(rest), Ok(directory)) => directory.join(rest).starts_with(OWN),
        _ => std::path::Path::new(place).starts_with(OWN),
    }
}

struct Frames<'b>(Option<&'b Backtrace>);

impl Display for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(backtrace) = self.0 else {
            return writeln!(f);
        };
        // A backtrace shows each frame as "N: name" followed by "at file:line:column" where that is known. Frames of
        // the host kernel, of the standard library and of the test harness say nothing about the driver.
        writeln!(f)?;
        let text = backtrace.to_string();
        let mut shown = 0;
        let mut skipping = true;
        for line in text.lines() {
            let line = line.trim();
            if let Some(place) = line.strip_prefix("at ") {
                if !skipping {
                    writeln!(f, "            {place}")?;
                }
                continue;
            }
            let name = line.split_once(": ").map_or(line, |(_, name)| name);
            skipping = is_plumbing(name);
            if !skipping {
                shown += 1;
                if shown > 12 {
                    return writeln!(f, "        ...");
                }
                writeln!(f, "        {name}")?;
            }
        }
        if shown == 0 {
            writeln!(f, "        (no frames of the driver are known)")?;
        }
        Ok(())
    }
}

fn is_plumbing(name: &str) -> bool {
    const PLUMBING: [&str; 14] = [
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
        "__rust",
        "rust_begin",
        "_start",
        "__libc_start",
    ];
    const THREADS: [&str; 4] = ["start_thread", "clone", "clone3", "<unknown>"];
    let own = name.starts_with("wsk_host::") && !name.contains("::tests::");
    own || is_exported(name)
        || THREADS.contains(&name)
        || PLUMBING.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a function is named as those are that the kernel exports.
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
    use super::is_plumbing;

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
