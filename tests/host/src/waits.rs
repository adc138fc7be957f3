//! Waits without a time-out. A wait that never ends is reported, with a list of all threads that wait and their objects. Stands for
//! the watchdogs of Driver Verifier and of the system.
//!
//! A wait is hopeless when it has lasted for the patience of the kernel while nothing else has happened: no allocation, no call of
//! the provider, nothing deferred, no other wait. System threads may wait for work for ever; if one is left at shutdown, the report
//! names the object that it waits for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::bugcheck::bugcheck;
use crate::origin::{self, Thread};
use crate::{faults, pool, schedule, thread, wsk};

struct Wait {
    function: &'static str,
    object: usize,
    thread: u32,
    since: Instant,
}

static WAITS: Mutex<BTreeMap<u64, Wait>> = Mutex::new(BTreeMap::new());
/// How many waits have begun so far.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static PATIENCE: Mutex<Duration> = Mutex::new(Duration::from_secs(10));

/// Sets how long a wait may last while nothing happens.
pub(crate) fn set_patience(patience: Duration) {
    *PATIENCE.lock() = patience;
}

/// How long a wait may last while nothing happens.
pub(crate) fn patience() -> Duration {
    *PATIENCE.lock()
}

/// A number that changes whenever the kernel does something.
fn activity() -> u64 {
    faults::all_uses()
        .wrapping_add(schedule::deferred())
        .wrapping_add(wsk::callbacks_called())
        .wrapping_add(BEGUN.load(Ordering::Relaxed))
}

/// A wait of this thread without a time-out, while it lasts.
pub(crate) struct Waiting {
    number: u64,
    quiet: RefCell<(u64, Instant)>,
}

impl Waiting {
    /// This thread begins to wait for the object at an address.
    pub(crate) fn begin(function: &'static str, object: usize) -> Self {
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let wait = Wait {
            function,
            object,
            thread: origin::thread_number(),
            since: Instant::now(),
        };
        WAITS.lock().insert(number, wait);
        Self {
            number,
            quiet: RefCell::new((activity(), Instant::now())),
        }
    }

    /// Sleeps until `changed` is notified, or until the next look. Stops when the wait is hopeless; `more` adds a line to the report.
    pub(crate) fn sleep<T>(
        &self,
        changed: &Condvar,
        locked: &mut MutexGuard<'_, T>,
        more: impl FnOnce() -> String,
    ) {
        if changed.wait_until(locked, self.next_look()).timed_out() {
            self.give_up_when_hopeless(more);
        }
    }

    /// When to look again whether the wait is hopeless.
    pub(crate) fn next_look(&self) -> Instant {
        self.quiet.borrow().1 + patience()
    }

    /// Stops when the wait is hopeless; `more` adds a line to the report.
    pub(crate) fn give_up_when_hopeless(&self, more: impl FnOnce() -> String) {
        let patience = patience();
        {
            let mut quiet = self.quiet.borrow_mut();
            if quiet.1.elapsed() < patience {
                return;
            }
            let now = activity();
            let seen = quiet.0;
            *quiet = (now, Instant::now());
            if now != seen || thread::is_system_thread() {
                return;
            }
        }
        let (function, object) = match WAITS.lock().get(&self.number) {
            Some(wait) => (wait.function, wait.object),
            None => return,
        };
        bugcheck!(
            MANUALLY_INITIATED_CRASH(object, self.number as usize, 0, 0),
            [more(), pool::story(object), all()],
            "{function} has waited while nothing happened for {patience:?}: nobody ends the wait for {object:#x}"
        )
    }
}

/// A wait without a time-out in which this thread looks at the object again and again.
pub(crate) struct Polling {
    function: &'static str,
    object: usize,
    tries: u32,
    /// The wait begins with the first pause.
    waiting: Option<Waiting>,
}

impl Polling {
    /// How often the thread yields before it sleeps in each pause.
    const YIELDS: u32 = 64;

    pub(crate) fn new(function: &'static str, object: usize) -> Self {
        Self {
            function,
            object,
            tries: 0,
            waiting: None,
        }
    }

    /// Lets other threads run; with `sleep` for longer, after many pauses. Stops when the wait is hopeless; `more` adds a line to the
    /// report.
    pub(crate) fn pause(&mut self, sleep: bool, more: impl FnOnce() -> String) {
        let begin = || Waiting::begin(self.function, self.object);
        self.waiting
            .get_or_insert_with(begin)
            .give_up_when_hopeless(more);
        self.tries = self.tries.saturating_add(1);
        if sleep && self.tries >= Self::YIELDS {
            std::thread::sleep(Duration::from_micros(50));
        } else {
            std::thread::yield_now();
        }
    }
}

/// Waits for a thread of the host kernel, which ends when the driver's code that it runs returns.
pub(crate) fn join(thread: JoinHandle<()>, runs: &str) {
    let patience = patience();
    let deadline = Instant::now() + patience;
    while !thread.is_finished() {
        if Instant::now() > deadline {
            bugcheck!(
                MANUALLY_INITIATED_CRASH(0, 0, 0, 0),
                [all()],
                "the kernel is shut down, and {runs} has run for {patience:?}: it never returns"
            )
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let _ = thread.join();
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITS.lock().remove(&self.number);
    }
}

/// A line for each thread that waits, with its object.
fn all() -> String {
    let waits = WAITS.lock();
    let lines = waits.values().map(|wait| {
        format!(
            "{} waits for {:#x} in {} since {:?}",
            Thread(wait.thread),
            wait.object,
            wait.function,
            wait.since.elapsed()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line about the object that a thread waits for, for a report.
pub(crate) fn of_thread(number: u32) -> Option<String> {
    let waits = WAITS.lock();
    let wait = waits.values().find(|wait| wait.thread == number)?;
    Some(format!(
        "it waits for {:#x} in {} since {:?}",
        wait.object,
        wait.function,
        wait.since.elapsed()
    ))
}
