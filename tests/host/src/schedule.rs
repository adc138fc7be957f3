//! Work that runs at `DISPATCH_LEVEL` on a separate processor: deferred completions, deferred procedure calls, timers. Also decides
//! when each call of the provider completes. Stands for the DPC queue and the timer table.

use core::ffi::c_void;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use wsk_sys::{KDPC, KTIMER, LARGE_INTEGER, PKDEFERRED_ROUTINE, TIMER_TYPE};

use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::event::{self, Kind};
use crate::irql::{self, DISPATCH_LEVEL};
use crate::origin::{self, Whose};
use crate::pool::{self, Block, paging};
use crate::stack_places::{self, User};
use crate::upcall::{self, Code};
use crate::waits::{self, Waiting};
use crate::{clock, faults};

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
    TIMERS.lock().clear();
    QUEUED.lock().clear();
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

// Deferred procedure calls. As in NT, `DpcData` in its memory tells whether one is queued.

/// The type of a deferred procedure call.
const DPC_OBJECT: u8 = 0x13;

/// A queued object of the driver. The driver keeps it alive while it is queued.
struct Queued<T>(*mut T);

// SAFETY: the pointer is handed to the thread that runs deferred work, which uses it as the documentation allows.
unsafe impl<T> Send for Queued<T> {}

/// The deferred procedure calls that are queued, each with the driver that has queued it.
static QUEUED: Mutex<BTreeMap<usize, u32>> = Mutex::new(BTreeMap::new());

/// # Safety
///
/// `dpc` is a deferred procedure call that stays alive while it is queued.
unsafe fn queue_dpc(dpc: *mut KDPC, first: *mut c_void, second: *mut c_void) -> bool {
    // SAFETY: the caller says so. One that is freed can't be read, or stays allocated in quarantine.
    let kind = unsafe { (*dpc).Anonymous1.Anonymous1.Type };
    if kind != DPC_OBJECT {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::UNINITIALIZED_RESOURCE,
                dpc as usize,
                0,
                0
            ),
            [pool::story(dpc as usize)],
            "something was to be queued that isn't an initialised deferred procedure call (any more): its type is {kind:#x}"
        )
    }
    // SAFETY: the caller says so; the member tells whether it is queued, and is changed atomically.
    let data = unsafe { AtomicPtr::from_ptr(&raw mut (*dpc).DpcData) };
    if data
        .compare_exchange(
            core::ptr::null_mut(),
            dpc.cast(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        )
        .is_err()
    {
        return false;
    }
    // SAFETY: this call has just queued it, so its arguments are this call's to set.
    unsafe {
        (*dpc).SystemArgument1 = first;
        (*dpc).SystemArgument2 = second;
    }
    let address = dpc as usize;
    QUEUED.lock().insert(address, origin::driver());
    stack_places::watch(User::Dpc { address }, "KeInsertQueueDpc", address, DPC);
    let queued = Queued(dpc);
    later(SOON, move || {
        let Queued(dpc) = { queued };
        QUEUED.lock().remove(&(dpc as usize));
        // SAFETY: the driver keeps the object alive while it is queued. It may queue it again from here on.
        unsafe {
            let (routine, context) = ((*dpc).DeferredRoutine, (*dpc).DeferredContext);
            let (first, second) = ((*dpc).SystemArgument1, (*dpc).SystemArgument2);
            AtomicPtr::from_ptr(&raw mut (*dpc).DpcData)
                .store(core::ptr::null_mut(), Ordering::SeqCst);
            if let Some(routine) = routine {
                paging::trim();
                upcall::call(Code::Deferred(routine as usize), || {
                    routine(dpc, context, first, second);
                });
            }
        }
    });
    true
}

export! {
    /// Initialises a deferred procedure call.
    fn KeInitializeDpc(
        Dpc: *mut KDPC,
        DeferredRoutine: PKDEFERRED_ROUTINE,
        DeferredContext: *mut c_void,
    ), at most HIGH_LEVEL {
        require_nonpaged("KeInitializeDpc", Dpc, "a DPC");
        if QUEUED.lock().contains_key(&(Dpc as usize)) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, Dpc as usize, 0, 0),
                [pool::story(Dpc as usize)],
                "KeInitializeDpc was called for a deferred procedure call that is queued"
            )
        }
        // SAFETY: the driver gives the memory; zero is fine for every member.
        unsafe {
            Dpc.cast::<u8>().write_bytes(0, size_of::<KDPC>());
            (*Dpc).Anonymous1.Anonymous1.Type = DPC_OBJECT;
            (*Dpc).DeferredRoutine = DeferredRoutine;
            (*Dpc).DeferredContext = DeferredContext;
        }
    }
}

export! {
    /// Queues a deferred procedure call; returns whether it was not queued yet.
    fn KeInsertQueueDpc(
        Dpc: *mut KDPC,
        SystemArgument1: *mut c_void,
        SystemArgument2: *mut c_void,
    ) -> u8, at most HIGH_LEVEL {
        // SAFETY: the driver gives the object.
        u8::from(unsafe { queue_dpc(Dpc, SystemArgument1, SystemArgument2) })
    }
}

export! {
    /// Waits until all deferred procedure calls that are queued now have run.
    fn KeFlushQueuedDpcs(), at most PASSIVE_LEVEL {
        let done = std::sync::Arc::new((Mutex::new(false), Condvar::new()));
        let signal = done.clone();
        later(SOON, move || {
            *signal.0.lock() = true;
            signal.1.notify_all();
        });
        let waiting = Waiting::begin("KeFlushQueuedDpcs", 0);
        let mut finished = done.0.lock();
        while !*finished {
            waiting.sleep(&done.1, &mut finished, String::new);
        }
    }
}

/// Identifies one setting of a timer: a timer that was set anew or cancelled must not expire for an earlier setting.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Setting {
    number: u64,
    /// The driver that has set it.
    driver: u32,
    /// The deferred procedure call that is queued when it expires, or 0.
    dpc: usize,
}

/// The timers that are set.
static TIMERS: Mutex<BTreeMap<usize, Setting>> = Mutex::new(BTreeMap::new());
static SETTINGS: AtomicU64 = AtomicU64::new(0);

export! {
    /// Initialises a timer.
    fn KeInitializeTimerEx(Timer: *mut KTIMER, Type: TIMER_TYPE), at most DISPATCH_LEVEL {
        let kind = if Type == TIMER_TYPE::NotificationTimer {
            Kind::NotificationTimer
        } else {
            Kind::SynchronizationTimer
        };
        require_nonpaged("KeInitializeTimer", Timer, "a timer");
        event::require_unused("KeInitializeTimer", Timer as usize, "a timer");
        if TIMERS.lock().contains_key(&(Timer as usize)) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, Timer as usize, 0, 0),
                [pool::story(Timer as usize)],
                "KeInitializeTimer was called for a timer that is set"
            )
        }
        // SAFETY: the driver gives the memory; zero is fine for every member.
        unsafe {
            Timer.cast::<u8>().write_bytes(0, size_of::<KTIMER>());
            event::initialize(&raw mut (*Timer).Header, kind, size_of::<KTIMER>(), false);
        }
    }
}

/// Sets a timer; returns whether it was set already.
///
/// # Safety
///
/// The caller keeps what the documentation of the routine asks for.
#[unsafe(no_mangle)]
#[allow(
    non_snake_case,
    reason = "name and parameters are those of the routine"
)]
pub(crate) unsafe extern "system" fn KeSetTimer(
    Timer: *mut KTIMER,
    DueTime: LARGE_INTEGER,
    Dpc: *mut KDPC,
) -> u8 {
    {
        crate::export::enter!(KeSetTimer(Timer, Dpc), DISPATCH_LEVEL);
        // SAFETY: the driver gives a timer.
        unsafe { require_timer("KeSetTimer", Timer) };
        // SAFETY: every member of the union covers the 64 bits; the driver gives an initialised timer, which isn't
        // signalled from now on.
        let delay = unsafe {
            (*Timer).Header.SignalState = 0;
            (*Timer).Dpc = Dpc;
            clock::until(DueTime.QuadPart)
        };
        let setting = Setting {
            number: SETTINGS.fetch_add(1, Ordering::Relaxed),
            driver: origin::driver(),
            dpc: Dpc as usize,
        };
        let was_set = TIMERS.lock().insert(Timer as usize, setting).is_some();
        let user = User::Timer {
            address: Timer as usize,
            setting: setting.number,
        };
        for (place, what) in [(Timer as usize, "the timer"), (Dpc as usize, DPC)] {
            stack_places::watch(user, "KeSetTimer", place, what);
        }
        let queued = (Queued(Timer), Queued(Dpc));
        push(
            When { delay, rank: 0 },
            true,
            Box::new(move || {
                let (Queued(timer), Queued(dpc)) = { queued };
                let mut timers = TIMERS.lock();
                if timers.get(&(timer as usize)) != Some(&setting) {
                    return;
                }
                timers.remove(&(timer as usize));
                // SAFETY: the driver keeps the timer alive while it is set, and the lock keeps it set until here; its deferred
                // procedure call too.
                unsafe {
                    if !dpc.is_null() {
                        queue_dpc(dpc, core::ptr::null_mut(), core::ptr::null_mut());
                    }
                    event::signal(&raw mut (*timer).Header);
                }
            }),
        );
        u8::from(was_set)
    }
}

export! {
    /// Cancels a timer; returns whether it was set.
    fn KeCancelTimer(Timer: *mut KTIMER) -> u8, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives a timer, or memory that may be read.
        unsafe {
            // A zeroed timer looks like a notification event. Windows takes it for a timer that isn't set.
            if Kind::of(&raw const (*Timer).Header) != Ok(Kind::NotificationEvent) {
                require_timer("KeCancelTimer", Timer);
            }
        }
        u8::from(TIMERS.lock().remove(&(Timer as usize)).is_some())
    }
}

/// Stops unless this is a timer that was initialised.
///
/// # Safety
///
/// The driver gives `timer`.
unsafe fn require_timer(function: &str, timer: *mut KTIMER) {
    // SAFETY: what the driver gives and is freed, or no memory, can't be read, which is a report, or stays allocated in quarantine.
    let kind = unsafe { Kind::of(&raw const (*timer).Header) };
    if !kind.is_ok_and(Kind::is_timer) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::UNINITIALIZED_RESOURCE,
                timer as usize,
                0,
                0
            ),
            [pool::story(timer as usize)],
            "{function} was given something that isn't an initialised timer (any more): the type in its header is {:#x}",
            event::number(kind)
        )
    }
}

/// The name of a deferred procedure call in reports.
const DPC: &str = "the deferred procedure call";

/// Whether a deferred procedure call is queued.
pub(crate) fn is_queued(dpc: usize) -> bool {
    QUEUED.lock().contains_key(&dpc)
}

/// Whether a timer is set, and still by this setting.
pub(crate) fn is_set(timer: usize, setting: u64) -> bool {
    TIMERS
        .lock()
        .get(&timer)
        .is_some_and(|now| now.number == setting)
}

/// Stops when a block is being freed that holds a timer that is set, its deferred procedure call, or one that is queued.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    let (timer, with_dpc) = {
        let timers = TIMERS.lock();
        let timer = timers.range(range.clone()).next().map(|(&timer, _)| timer);
        let mut all = timers.iter();
        let with_dpc = all.find(|(_, setting)| range.contains(&setting.dpc));
        (
            timer,
            with_dpc.map(|(&timer, setting)| (timer, setting.dpc)),
        )
    };
    if let Some(timer) = timer {
        bugcheck!(
            TIMER_OR_DPC_INVALID(0, timer, range.start, range.len()),
            [block],
            "memory was freed that holds a timer that is set"
        )
    }
    if let Some((timer, dpc)) = with_dpc {
        bugcheck!(
            TIMER_OR_DPC_INVALID(1, dpc, range.start, range.len()),
            [block],
            "memory was freed that holds the deferred procedure call of a timer that is set, at {timer:#x}"
        )
    }
    let dpc = QUEUED
        .lock()
        .range(range.clone())
        .next()
        .map(|(&dpc, _)| dpc);
    if let Some(dpc) = dpc {
        bugcheck!(
            TIMER_OR_DPC_INVALID(1, dpc, range.start, range.len()),
            [block],
            "memory was freed that holds a deferred procedure call that is queued"
        )
    }
}

/// Timers that are set, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    TIMERS
        .lock()
        .iter()
        .filter(|(_, setting)| whose.is(setting.driver))
        .map(|(timer, _)| format!("timer at {timer:#x} that is still set"))
        .collect()
}

/// Deferred procedure calls that are queued, as lines of a report.
pub(crate) fn queued(whose: Whose) -> Vec<String> {
    QUEUED
        .lock()
        .iter()
        .filter(|&(_, &driver)| whose.is(driver))
        .map(|(dpc, _)| format!("deferred procedure call at {dpc:#x} that is still queued"))
        .collect()
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
