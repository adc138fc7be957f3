//! The atomics that the shipped code runs on here, and the rules of the protocol, each of which can be broken by a type.

use core::marker::PhantomData;
use core::sync::atomic::Ordering;

use loom::sync::atomic::{AtomicU32, AtomicU64, fence};

use crate::stack::Atomic;
use crate::state::Word;

/// What a variant of the protocol does differently; what it does not say is done as `wsk` does it.
pub trait Rules: Send + Sync + 'static {
    /// The order of a load of the state word.
    #[must_use]
    fn look(order: Ordering) -> Ordering {
        order
    }

    /// The orders of a step of the state word: when it was made, and when it was not.
    #[must_use]
    fn step(made: Ordering, not_made: Ordering) -> (Ordering, Ordering) {
        (made, not_made)
    }

    /// The orders of a step of the free list.
    #[must_use]
    fn list(made: Ordering, not_made: Ordering) -> (Ordering, Ordering) {
        (made, not_made)
    }

    /// The routine sets the event only for a waiter.
    const EVENT_FOR_WAITER_ONLY: bool = true;
    /// Who gave up waiting too late waits for the event.
    const LATE_WAITER_SEES_EVENT: bool = true;
    /// The routine takes the waker before it says that it has.
    const WAKER_TAKEN_FIRST: bool = true;
    /// A poll takes an announced waker back before it puts another there.
    const WAKER_RETRACTED: bool = true;
    /// A poll puts the waker there before it announces it.
    const WAKER_BEFORE_ANNOUNCEMENT: bool = true;
    /// Who waits instead of polling drops the waker that it has taken back.
    const WAKER_DROPPED_BEFORE_WAITING: bool = true;
    /// Who leaves an operation drops the waker that it has taken back.
    const WAKER_DROPPED_BEFORE_LEAVING: bool = true;
    /// A poll that finds the operation completed drops the waker that it has put there.
    const WAKER_DROPPED_WHEN_READY: bool = true;
    /// A poll with another waker than the one that is being woken wakes it.
    const ANOTHER_WAKER_WOKEN: bool = true;
    /// What is being woken is left to the routine too.
    const LEAVES_WAKING: bool = true;
    /// An operation in flight is left to the routine, not freed.
    const LEAVES_IN_FLIGHT: bool = true;
    /// Cancelling comes before leaving.
    const CANCELS_FIRST: bool = true;
    /// The routine resets the block before it drops the payload, with which the block may go to others.
    const PAYLOAD_LAST: bool = true;
    /// Giving a slot back is the last that the routine does with it.
    const SLOT_LAST: bool = true;
    /// Who has left a slot to the routine does not give it back too.
    const GIVEN_BACK_ONCE: bool = true;
    /// Who gives a slot back keeps the slots' memory until that is done.
    const HOME_KEPT: bool = true;
    /// A slot that was given up is as any other once it is given back.
    const TAKEN_UP_AGAIN: bool = true;
    /// The routine reads who else is to be told before it publishes the completion.
    const OBSERVER_READ_FIRST: bool = true;
    /// The event is cleared by who has waited for it.
    const EVENT_CLEARED: bool = true;
    /// The head of the free list counts its changes.
    const CHANGES_COUNTED: bool = true;
    /// Who waits for a buffer counts itself before it looks for the last time.
    const WAITER_COUNTED_FIRST: bool = true;
    /// Who has waited for a buffer tells the next.
    const PASSED_ON: bool = true;
}

/// The protocol as it is.
#[derive(Debug)]
pub struct Faithful;

impl Rules for Faithful {}

/// A 32-bit word of loom's, used by the rules `R`.
#[derive(Debug)]
pub(crate) struct Number<R> {
    atomic: AtomicU32,
    rules: PhantomData<fn() -> R>,
}

impl<R> Default for Number<R> {
    fn default() -> Self {
        Self {
            atomic: AtomicU32::new(0),
            rules: PhantomData,
        }
    }
}

impl<R: Rules> Word for Number<R> {
    fn load(&self, order: Ordering) -> u32 {
        self.atomic.load(R::look(order))
    }

    fn store(&self, value: u32, order: Ordering) {
        self.atomic.store(value, order);
    }

    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        let (success, failure) = R::step(success, failure);
        self.atomic.compare_exchange(current, new, success, failure)
    }
}

/// The head of a free list.
#[derive(Debug)]
pub(crate) struct Head<R> {
    atomic: AtomicU64,
    rules: PhantomData<fn() -> R>,
}

impl<R> Default for Head<R> {
    fn default() -> Self {
        Self {
            atomic: AtomicU64::new(0),
            rules: PhantomData,
        }
    }
}

// Loom takes sequentially consistent accesses for acquiring and releasing ones, but knows sequentially consistent fences. A
// fence before each such load and behind each such change gives the loads and changes the one order that they have.

fn before_load(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
        Ordering::Acquire
    } else {
        order
    }
}

fn change<T>(order: Ordering, change: impl FnOnce(Ordering) -> T) -> T {
    if order == Ordering::SeqCst {
        let result = change(Ordering::AcqRel);
        fence(Ordering::SeqCst);
        result
    } else {
        change(order)
    }
}

fn weaker(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst {
        Ordering::Acquire
    } else {
        order
    }
}

impl<R: Rules> Atomic<u32> for Number<R> {
    fn load(&self, order: Ordering) -> u32 {
        self.atomic.load(before_load(order))
    }

    fn store(&self, value: u32, order: Ordering) {
        self.atomic.store(value, order);
    }

    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        change(order, |order| self.atomic.fetch_add(value, order))
    }

    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        change(order, |order| self.atomic.fetch_sub(value, order))
    }

    fn compare_exchange_weak(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        change(success, |success| {
            self.atomic
                .compare_exchange_weak(current, new, success, weaker(failure))
        })
    }
}

impl<R: Rules> Atomic<u64> for Head<R> {
    fn load(&self, order: Ordering) -> u64 {
        self.atomic.load(before_load(order))
    }

    fn store(&self, value: u64, order: Ordering) {
        self.atomic.store(value, order);
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        change(order, |order| self.atomic.fetch_add(value, order))
    }

    fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        change(order, |order| self.atomic.fetch_sub(value, order))
    }

    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        // Without the count the head is just the first number.
        let new = if R::CHANGES_COUNTED {
            new
        } else {
            new & u64::from(u32::MAX)
        };
        let (success, failure) = R::list(success, failure);
        change(success, |success| {
            self.atomic
                .compare_exchange_weak(current, new, success, weaker(failure))
        })
    }
}
