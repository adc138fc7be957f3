//! Work that runs at `DISPATCH_LEVEL` on a separate processor: deferred completions, deferred procedure calls, timers. Also decides
//! when each call of the provider completes. Stands for the DPC queue and the timer table.

mod dpc;
mod timer;

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::irql::{self, DISPATCH_LEVEL};
use crate::pool::Block;
use crate::{faults, origin, waits};

pub(crate) use dpc::{is_queued, queued};
pub(crate) use timer::{is_set, leaks};

/// When the provider completes the IRPs that it is given.
///
/// ```
/// use wsk_host::{Completion, Kernel};
///
/// // A test that holds whenever the provider completes.
/// for completion in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
///     let kernel = Kernel::builder().completion(completion).seed(1).boot();
///     // ... the driver ...
///     kernel.shutdown();
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completion {
    /// Before the call returns, unless it has to wait for something.
    #[default]
    Inline,
    /// After the call has returned `STATUS_PENDING`, in order, at `DISPATCH_LEVEL` on another thread. The call is also carried out then.
    Deferred,
    /// In a way that the [seed](crate::Builder::seed) chooses for each call: inline, deferred, carried out at once but completed later,
    /// delayed, or reordered.
    Seeded,
}

/// The times at which the provider carries out and completes one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Carry out and complete the call now.
    Now,
    /// Carry out the call now, and complete it later.
    CompleteLater(When),
    /// Carry out the call later, and complete it then.
    DoLater(When),
}

impl Plan {
    /// The time to complete a call that can't complete now.
    pub(crate) fn when(self) -> When {
        match self {
            Self::Now => SOON,
            Self::DoLater(when) | Self::CompleteLater(when) => when,
        }
    }
}

/// The time at which deferred work is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    delay: Duration,
    /// Among due entries, lower ranks go first, and equal ranks in order.
    rank: u32,
}

impl When {
    /// The same, but not before `delay` has passed.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// As soon as possible, in order.
pub(crate) const SOON: When = When {
    delay: Duration::ZERO,
    rank: 0,
};

static POLICY: AtomicU8 = AtomicU8::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
static DICE: Dice = Dice::new();

/// Sets the policy.
pub(crate) fn configure(completion: Completion, seed: u64) {
    POLICY.store(completion as u8, Ordering::Relaxed);
    SEED.store(seed, Ordering::Relaxed);
    DICE.roll(seed);
}

/// The seed, if something depends on it.
pub(crate) fn seed_in_use() -> Option<u64> {
    let seeded = POLICY.load(Ordering::Relaxed) == Completion::Seeded as u8;
    (seeded || faults::is_unreliable()).then(|| SEED.load(Ordering::Relaxed))
}

/// Pseudo-random numbers from a seed.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Begins with a seed.
    pub(crate) fn roll(&self, seed: u64) {
        self.0.store(seed, Ordering::Relaxed);
    }

    pub(crate) fn throw(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn plan(&self) -> Plan {
        let number = self.throw();
        let delayed = When {
            delay: Duration::from_micros(number >> 8 & 0x7FF),
            rank: 0,
        };
        let reordered = When {
            delay: Duration::from_micros(50),
            rank: (number >> 20 & 0xFF) as u32,
        };
        match number & 7 {
            0 | 1 => Plan::Now,
            2 => Plan::DoLater(SOON),
            3 => Plan::CompleteLater(SOON),
            4 => Plan::DoLater(delayed),
            5 => Plan::CompleteLater(delayed),
            6 => Plan::DoLater(reordered),
            _ => Plan::CompleteLater(reordered),
        }
    }
}

/// Chooses the plan for one call.
#[inline]
pub(crate) fn plan() -> Plan {
    match POLICY.load(Ordering::Relaxed) {
        0 => Plan::Now,
        1 => Plan::DoLater(SOON),
        _ => DICE.plan(),
    }
}

type Work = Box<dyn FnOnce() + Send>;

struct Entry {
    due: Instant,
    rank: u32,
    number: u64,
    /// Whether the entry is a timer. Shutdown does not wait for timers.
    timer: bool,
    /// The driver that the work is for.
    driver: u32,
    work: Work,
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        // The heap returns its greatest entry, so the earliest has to compare as the greatest.
        other.key().cmp(&self.key())
    }
}

struct Queue {
    waiting: BinaryHeap<Entry>,
    number: u64,
    /// The number of waiting entries that aren't timers.
    pressing: usize,
    /// Whether an entry is running.
    running: bool,
    stopping: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    waiting: BinaryHeap::new(),
    number: 0,
    pressing: 0,
    running: false,
    stopping: false,
});
static CHANGED: Condvar = Condvar::new();
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// The number of entries that were deferred so far.
pub(crate) fn deferred() -> u64 {
    QUEUE.lock().number
}

/// Queues `work` to run at `DISPATCH_LEVEL` on the processor for deferred work.
pub(crate) fn later(when: When, work: impl FnOnce() + Send + 'static) {
    push(when, false, Box::new(work));
}

fn push(when: When, timer: bool, work: Work) {
    let mut queue = QUEUE.lock();
    queue.number += 1;
    queue.pressing += usize::from(!timer);
    let number = queue.number;
    let due = Instant::now()
        .checked_add(when.delay)
        .unwrap_or_else(|| Instant::now() + Duration::from_secs(u64::from(u32::MAX)));
    queue.waiting.push(Entry {
        due,
        rank: when.rank,
        number,
        timer,
        driver: origin::driver(),
        work,
    });
    drop(queue);
    CHANGED.notify_all();
}

/// Starts the processor with an empty queue: entries that were queued after it had stopped belonged to another kernel.
pub(crate) fn start() {
    forget();
    QUEUE.lock().stopping = false;
    let thread = std::thread::Builder::new()
        .name("dpc".into())
        .spawn(run)
        .expect("the host has threads");
    *THREAD.lock() = Some(thread);
}

fn run() {
    irql::set(DISPATCH_LEVEL);
    let mut queue = QUEUE.lock();
    loop {
        let now = Instant::now();
        let due: Vec<Entry> = {
            let mut due = Vec::new();
            while queue.waiting.peek().is_some_and(|first| first.due <= now) {
                due.extend(queue.waiting.pop());
            }
            due.sort_by_key(|entry| (entry.rank, entry.due, entry.number));
            due
        };
        if due.is_empty() {
            if queue.stopping {
                return;
            }
            match queue.waiting.peek().map(|first| first.due) {
                Some(next) => {
                    let _ = CHANGED.wait_until(&mut queue, next);
                }
                None => CHANGED.wait(&mut queue),
            }
            continue;
        }
        queue.running = true;
        queue.pressing -= due.iter().filter(|entry| !entry.timer).count();
        drop(queue);
        for entry in due {
            origin::for_driver(entry.driver, entry.work);
            if irql::current() != DISPATCH_LEVEL {
                irql::set(DISPATCH_LEVEL);
            }
        }
        queue = QUEUE.lock();
        queue.running = false;
        CHANGED.notify_all();
    }
}

/// Waits until only timers are queued or running; returns whether there was anything to wait for.
pub(crate) fn settle(deadline: Instant) -> bool {
    let mut queue = QUEUE.lock();
    let mut waited = false;
    while queue.running || queue.pressing > 0 {
        waited = true;
        if CHANGED.wait_until(&mut queue, deadline).timed_out() {
            break;
        }
    }
    waited
}

/// Stops the processor. It still runs the due entries, and forgets the others.
pub(crate) fn stop() {
    QUEUE.lock().stopping = true;
    CHANGED.notify_all();
    if let Some(thread) = THREAD.lock().take() {
        waits::join(
            thread,
            "a deferred procedure call, a completion routine or a timer",
        );
    }
    forget();
    timer::reset();
    dpc::reset();
}

/// Forgets the queue.
fn forget() {
    let forgotten = {
        let mut queue = QUEUE.lock();
        queue.pressing = 0;
        core::mem::take(&mut queue.waiting)
    };
    drop(forgotten);
}

/// A queued object of the driver. The driver keeps it alive while it is queued.
struct Queued<T>(*mut T);

// SAFETY: the pointer is handed to the thread that runs deferred work, which uses it as the documentation allows.
unsafe impl<T> Send for Queued<T> {}

/// Stops when a block is being freed that holds a timer that is set, its deferred procedure call, or one that is queued.
pub(crate) fn memory_freed(block: &Block) {
    timer::memory_freed(block);
    dpc::memory_freed(block);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::{Dice, Plan};

    #[test]
    fn a_seed_replays() {
        let draw = |seed| {
            let dice = Dice(AtomicU64::new(seed));
            (0..64).map(|_| dice.plan()).collect::<Vec<Plan>>()
        };
        let first = draw(7);
        assert_eq!(first, draw(7));
        assert_ne!(first, draw(8));
        assert!(first.contains(&Plan::Now));
        assert!(first.iter().any(|plan| matches!(plan, Plan::DoLater(_))));
        assert!(
            first
                .iter()
                .any(|plan| matches!(plan, Plan::CompleteLater(_)))
        );
    }
}
