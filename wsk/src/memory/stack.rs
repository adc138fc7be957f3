//! A stack of numbers that takes no lock: those of the vacant slots of an arena. It also says whether somebody waits for one. Stands for
//! the interlocked singly linked list (`SLIST_HEADER`) of a lookaside list.
//!
//! Nothing here depends on the kernel or on a type of atomics. The code asks for [`Atomic`] only, so that a model checker can run it.

#![forbid(unsafe_code)]

use core::sync::atomic::Ordering;

/// An atomic number.
pub(crate) trait Atomic<T> {
    /// As `AtomicU32::load`.
    fn load(&self, order: Ordering) -> T;
    /// As `AtomicU32::store`.
    fn store(&self, value: T, order: Ordering);
    /// As `AtomicU32::compare_exchange_weak`.
    fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T>;
}

macro_rules! atomic {
    ($atomic:ident, $number:ident) => {
        impl Atomic<$number> for crate::memory::atomic::$atomic {
            #[inline]
            fn load(&self, order: Ordering) -> $number {
                self.load(order)
            }

            #[inline]
            fn store(&self, value: $number, order: Ordering) {
                self.store(value, order);
            }

            #[inline]
            fn compare_exchange_weak(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                self.compare_exchange_weak(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);

/// A stack of numbers, each at most once.
///
/// The head has three parts. The lower half counts changes, so that a thread notices when a number was taken and put back meanwhile.
/// With 32 bits it fails to notice only if it is stopped in the middle of taking for exactly 2³² changes, or a multiple: at 100 million
/// changes a second, for 43 seconds to the nanosecond. In the upper half one bit says that somebody waits for a number. The rest is the
/// first number plus one, 0 when there is none, or [`CLOSED`].
///
/// Each number has a link, which callers keep and pass. It holds the number below in the stack plus one, or 0.
pub(crate) struct Stack<H> {
    head: H,
}

/// The bit that says that somebody waits for a number.
const AWAITED: u32 = 1 << 31;

/// Stands in place of the first number when the stack is closed: nothing is put into it any more.
const CLOSED: u32 = AWAITED - 1;

/// The most numbers that a stack can have.
pub(crate) const MOST_NUMBERS: u32 = CLOSED - 1;

/// The error of a number that was not put into the stack, because the stack is closed, or because somebody waits for a number and the
/// caller does not notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotPushed;

/// The upper half of a head.
#[inline]
const fn upper(head: u64) -> u32 {
    (head >> 32) as u32
}

/// The first number plus one, 0 or [`CLOSED`].
#[inline]
const fn first(head: u64) -> u32 {
    upper(head) & !AWAITED
}

/// The bit [`AWAITED`] of a head.
#[inline]
const fn awaited(head: u64) -> u32 {
    upper(head) & AWAITED
}

/// The head after one more change, with another upper half. The count wraps around. In the lower half it costs fewer instructions than
/// in the upper one.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn changed(head: u64, upper: u32) -> u64 {
    (upper as u64) << 32 | (head as u32).wrapping_add(1) as u64
}

impl<H: Atomic<u64>> Stack<H> {
    /// An empty stack; the number is zero.
    pub(crate) const fn new(head: H) -> Self {
        Self { head }
    }

    /// Takes a number, which is the caller's until it is pushed. Gives none when somebody waits: then
    /// [`pop_awaited`](Self::pop_awaited) may still find one.
    #[inline]
    pub(crate) fn pop<'l, W: Atomic<u32> + 'l>(&self, link: impl Fn(u32) -> &'l W) -> Option<u32> {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let index = upper(head).wrapping_sub(1);
            // Empty, closed, or awaited. The usual way has one comparison.
            if index >= MOST_NUMBERS {
                return None;
            }
            match self.try_pop(head, index, 0, &link) {
                Ok(()) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Takes a number, also when somebody waits.
    #[cold]
    pub(crate) fn pop_awaited<'l, W: Atomic<u32> + 'l>(
        &self,
        link: impl Fn(u32) -> &'l W,
    ) -> Option<u32> {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let index = first(head).wrapping_sub(1);
            if index >= MOST_NUMBERS {
                return None;
            }
            match self.try_pop(head, index, awaited(head), &link) {
                Ok(()) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the first number of a head. Afterwards the head says `awaited`. Fails with the new head when the head has changed.
    #[inline]
    fn try_pop<'l, W: Atomic<u32> + 'l>(
        &self,
        head: u64,
        index: u32,
        awaited: u32,
        link: &impl Fn(u32) -> &'l W,
    ) -> Result<(), u64> {
        // If the number was taken meanwhile the link may be anything. Then the count of changes differs, and the exchange fails.
        let next = link(index).load(Ordering::Relaxed);
        let new = changed(head, next | awaited);
        self.head
            .compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::SeqCst)
            .map(|_| ())
    }

    /// Puts a number that is not in the stack there. `link` is its own. From then on the caller touches neither the number nor its link
    /// nor the stack.
    ///
    /// # Errors
    ///
    /// When the stack is closed, or when somebody waits for a number and the caller does not notify. Nothing is done then.
    #[inline]
    pub(crate) fn push<W: Atomic<u32>>(
        &self,
        index: u32,
        link: &W,
        notifies: bool,
    ) -> Result<(), NotPushed> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (mut below, mut awaited) = (upper(head), 0);
            // Awaited or closed. The usual way has one comparison.
            if below >= CLOSED {
                below = first(head);
                if below == CLOSED || !notifies {
                    return Err(NotPushed);
                }
                awaited = AWAITED;
            }
            link.store(below, Ordering::Relaxed);
            let new = changed(head, (index + 1) | awaited);
            // Sequentially consistent with the waiter, which announces itself in the head before it looks for a number.
            match self
                .head
                .compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }

    /// Sets whether somebody waits. A thread that announces a wait looks for a number once more before it waits.
    pub(crate) fn set_awaited(&self, awaited: bool) {
        self.exchange(|head| {
            if awaited {
                head | u64::from(AWAITED) << 32
            } else {
                head & !(u64::from(AWAITED) << 32)
            }
        });
    }

    /// Closes the stack, which has at most `most` numbers. Gives how many it had.
    pub(crate) fn close<'l, W: Atomic<u32> + 'l>(
        &self,
        most: u32,
        link: impl Fn(u32) -> &'l W,
    ) -> u32 {
        let before = self.exchange(|head| changed(head, CLOSED | awaited(head)));
        count(before, most, link)
    }

    /// How many numbers there are, of at most `most`; `None` when the stack has changed meanwhile.
    pub(crate) fn count<'l, W: Atomic<u32> + 'l>(
        &self,
        most: u32,
        link: impl Fn(u32) -> &'l W,
    ) -> Option<u32> {
        let head = self.head.load(Ordering::SeqCst);
        let count = count(head, most, link);
        (self.head.load(Ordering::SeqCst) == head).then_some(count)
    }

    /// Changes the head. Gives what it was before.
    fn exchange(&self, change: impl Fn(u64) -> u64) -> u64 {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            match self.head.compare_exchange_weak(
                head,
                change(head),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return head,
                Err(now) => head = now,
            }
        }
    }
}

/// Counts the numbers from the first of a head on, at most `most`: if the stack changes meanwhile the links may form a circle.
fn count<'l, W: Atomic<u32> + 'l>(head: u64, most: u32, link: impl Fn(u32) -> &'l W) -> u32 {
    let (mut next, mut count) = (first(head), 0);
    while let Some(index) = next.checked_sub(1) {
        if count == most || index >= most {
            break;
        }
        count += 1;
        next = link(index).load(Ordering::Relaxed);
    }
    count
}
