//! The order in which threads acquire locks. Two threads that acquire the same two locks in opposite order can wait for each other for
//! ever. Stands for Driver Verifier's deadlock detection.
//!
//! A lock is identified by its address. So only locks in pool and in the image count: the kernel sees when pool is freed, and forgets
//! its locks. The memory of other locks could become another lock unnoticed.

use core::fmt::Display;
use core::ops::Range;
use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::bugcheck::{bugcheck, violation};
use crate::origin::{self, Origin, Thread};
use crate::pool::{self, Block};
use crate::stack_places::{self, User};
use crate::{address_space, irql};

std::thread_local! {
    /// The locks that this thread holds, in the order in which it has acquired them, each with its kind.
    static HELD: RefCell<Vec<(usize, &'static str)>> = const { RefCell::new(Vec::new()) };
}

/// For each lock: the locks that were acquired while it was held, each with the place where that happened first.
static TAKEN_AFTER: Mutex<BTreeMap<usize, BTreeMap<usize, Origin>>> = Mutex::new(BTreeMap::new());

/// Notes the order when this thread is about to acquire a lock.
pub(crate) fn taking(function: &'static str, lock: usize) {
    HELD.with_borrow(|held| {
        for &(before, _) in held {
            note(function, before, lock);
        }
    });
}

// The kinds of locks, as reports name them.
pub(crate) const SPIN_LOCK: &str = "spin lock";
pub(crate) const EXECUTIVE_SPIN_LOCK: &str = "executive spin lock";
pub(crate) const FAST_MUTEX: &str = "fast mutex";
pub(crate) const PUSH_LOCK: &str = "push lock";

/// A lock that a thread holds.
struct Holding {
    kind: &'static str,
    /// How often the thread has acquired it: readers may do so more than once.
    times: u32,
}

/// The locks that threads hold, by the address of the lock and the number of the thread.
static HELD_BY: Mutex<BTreeMap<(usize, u32), Holding>> = Mutex::new(BTreeMap::new());

/// Notes that this thread has acquired a lock.
pub(crate) fn taken(lock: usize, kind: &'static str) {
    HELD.with_borrow_mut(|held| held.push((lock, kind)));
    let thread = origin::thread_number();
    let nothing = Holding { kind, times: 0 };
    HELD_BY
        .lock()
        .entry((lock, thread))
        .or_insert(nothing)
        .times += 1;
    let user = User::Lock { lock, thread };
    stack_places::watch(user, "what has taken the lock", lock, "a lock");
}

/// Whether a thread holds a lock.
pub(crate) fn is_held(lock: usize, thread: u32) -> bool {
    HELD_BY.lock().contains_key(&(lock, thread))
}

/// The first lock in a range that a thread holds, its kind, and the thread.
fn held_in(range: Range<usize>) -> Option<(usize, &'static str, Thread)> {
    let held_by = HELD_BY.lock();
    let (&(lock, thread), holding) = held_by.range((range.start, 0)..(range.end, 0)).next()?;
    Some((lock, holding.kind, Thread(thread)))
}

/// Stops when this thread holds a spin lock and `function` is about to lower the IRQL to `level`, which is below `DISPATCH_LEVEL`.
pub(crate) fn require_no_spin_lock(function: &str, level: u8) {
    let spins = |&&(_, kind): &&(usize, &str)| matches!(kind, SPIN_LOCK | EXECUTIVE_SPIN_LOCK);
    let held = HELD.with_borrow(|held| held.iter().find(spins).copied());
    if let Some((lock, kind)) = held {
        bugcheck!(
            IRQL_NOT_LESS_OR_EQUAL(lock, level.into(), 0, 0),
            [pool::story(lock)],
            "{function} was called to lower the IRQL to {} while this thread holds the {kind} at {lock:#x}: whoever wants it may interrupt this thread now, and spin for ever",
            irql::name(level)
        )
    }
}

/// Notes that this thread has released a lock.
pub(crate) fn given_back(lock: usize) {
    HELD.with_borrow_mut(|held| {
        if let Some(index) = held.iter().rposition(|&(other, _)| other == lock) {
            held.remove(index);
        }
    });
    let mut held_by = HELD_BY.lock();
    if let Entry::Occupied(mut held) = held_by.entry((lock, origin::thread_number())) {
        held.get_mut().times -= 1;
        if held.get().times == 0 {
            held.remove();
        }
    }
}

/// How many locks this thread holds.
pub(crate) fn held() -> usize {
    HELD.with_borrow(Vec::len)
}

/// Stops when the driver's code has returned with a lock that it has acquired: `before` locks were held when it was called.
pub(crate) fn require_none_kept(before: usize, who: &dyn Display) {
    let kept = HELD.with_borrow(|held| held.get(before).copied());
    if let Some((lock, _)) = kept {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::THREAD_HOLDS_RESOURCES, lock, 0, 0),
            [pool::story(lock)],
            "{who} returned with the lock at {lock:#x}, which it has taken"
        )
    }
}

fn note(function: &'static str, before: usize, lock: usize) {
    let mut orders = TAKEN_AFTER.lock();
    let known = orders
        .get(&before)
        .is_some_and(|after| after.contains_key(&lock));
    if known || before == lock || !(is_known_by_address(before) && is_known_by_address(lock)) {
        return;
    }
    if let Some(path) = path(&orders, lock, before) {
        let elsewhere = path
            .windows(2)
            .filter_map(|pair| {
                let origin = orders.get(&pair[0])?.get(&pair[1])?;
                Some(format!(
                    "{:#x} was taken while {:#x} was held, by {origin}",
                    pair[1], pair[0]
                ))
            })
            .collect::<Vec<_>>()
            .join("\n");
        drop(orders);
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::LOCK_ORDER, lock, before, 0),
            [elsewhere, pool::story(lock), pool::story(before)],
            "{function} was called for the lock at {lock:#x} while the one at {before:#x} is held, and elsewhere they are taken in the opposite order: two threads that do both at once wait for each other"
        )
    }
    orders
        .entry(before)
        .or_default()
        .insert(lock, Origin::here(function));
}

/// The locks on a way from one lock to another, each acquired while the one before was held.
fn path(
    orders: &BTreeMap<usize, BTreeMap<usize, Origin>>,
    from: usize,
    to: usize,
) -> Option<Vec<usize>> {
    let mut seen = BTreeSet::from([from]);
    let mut paths = vec![vec![from]];
    while let Some(path) = paths.pop() {
        let last = path.last()?;
        for &next in orders.get(last).into_iter().flat_map(BTreeMap::keys) {
            let mut longer = path.clone();
            longer.push(next);
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                paths.push(longer);
            }
        }
    }
    None
}

/// Whether the address identifies the lock: it lies in pool or in the image.
fn is_known_by_address(lock: usize) -> bool {
    pool::containing(lock, |_| ()).is_some() || address_space::is_in_image(lock)
}

/// Stops when a thread holds the lock at `lock`, which `function` is about to initialise.
pub(crate) fn require_not_held(function: &str, lock: usize, kind: &'static str) {
    if let Some((_, _, thread)) = held_in(lock..lock + 1).filter(|held| held.1 == kind) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::MULTIPLE_INITIALIZATION, lock, 0, 0),
            [pool::story(lock)],
            "{function} was called for a {kind} that {thread} holds"
        )
    }
}

/// Forgets the locks in a block that is being freed. Stops when a thread holds one of them.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    if let Some((lock, kind, thread)) = held_in(range.clone()) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::LOCK_FREED, lock, range.start, 0),
            [block],
            "memory was freed that holds a {kind} which {thread} holds"
        )
    }
    let mut orders = TAKEN_AFTER.lock();
    if orders.is_empty() {
        return;
    }
    orders.retain(|lock, _| !range.contains(lock));
    for after in orders.values_mut() {
        after.retain(|lock, _| !range.contains(lock));
    }
}

/// Forgets the locks that this thread has acquired in an earlier kernel.
pub(crate) fn begin() {
    HELD.with_borrow_mut(Vec::clear);
}

/// Forgets everything.
pub(crate) fn reset() {
    HELD_BY.lock().clear();
    TAKEN_AFTER.lock().clear();
}
