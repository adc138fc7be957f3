//! Which slots are free, and whether somebody waits for one: a stack of their numbers that takes no lock. Stands for the
//! interlocked singly linked list (`SLIST_HEADER`) of a lookaside list.
//!
//! Nothing here depends on the kernel or on a type of atomics: [`Atomic`] is all that is asked, so that a model checker can
//! run this very code.

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
/// The head has three parts. The lower half counts changes, so that a number that was taken and put back meanwhile is noticed:
/// with 32 bits a thread that is stopped in the middle of taking would have to sleep through exactly 2³² changes, or a multiple,
/// to be fooled; at 100 million a second that is a sleep of 43 seconds to the nanosecond. In the upper half one bit says that
/// somebody waits for a number, and the rest is the first number plus one, 0 when there is none, or [`CLOSED`].
///
/// Each number has a link, which callers keep and lend: the number below it in the stack plus one, or 0.
pub(crate) struct Stack<H> {
    head: H,
}

/// Somebody waits for a number.
const AWAITED: u32 = 1 << 31;

/// In place of the first number: nothing is put into the stack any more.
const CLOSED: u32 = AWAITED - 1;

/// The most numbers that a stack can have.
pub(crate) const MOST: u32 = CLOSED - 1;

/// A number was not put into the stack: the stack is closed, or somebody waits for the number, whom the caller is not going to tell.
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

/// Whether somebody waits: the bit.
#[inline]
const fn awaited(head: u64) -> u32 {
    upper(head) & AWAITED
}

/// The head after one more change, with another upper half. The count wraps by itself: that it is in the lower half costs fewer
/// instructions than in the upper one.
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

    /// Takes a number, which is the caller's until it is pushed; none where somebody waits: then there may be one all the same, for
    /// [`pop_awaited`](Self::pop_awaited).
    #[inline]
    pub(crate) fn pop<'l, W: Atomic<u32> + 'l>(&self, link: impl Fn(u32) -> &'l W) -> Option<u32> {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let index = upper(head).wrapping_sub(1);
            // Empty, closed, or awaited: one comparison on the way that is usual.
            if index >= MOST {
                return None;
            }
            match self.try_pop(head, index, 0, &link) {
                Ok(()) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Takes a number, also where somebody waits.
    #[cold]
    pub(crate) fn pop_awaited<'l, W: Atomic<u32> + 'l>(
        &self,
        link: impl Fn(u32) -> &'l W,
    ) -> Option<u32> {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let index = first(head).wrapping_sub(1);
            if index >= MOST {
                return None;
            }
            match self.try_pop(head, index, awaited(head), &link) {
                Ok(()) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the number that is the first of a head, which is as `awaited` afterwards, unless the head is another now.
    #[inline]
    fn try_pop<'l, W: Atomic<u32> + 'l>(
        &self,
        head: u64,
        index: u32,
        awaited: u32,
        link: &impl Fn(u32) -> &'l W,
    ) -> Result<(), u64> {
        // Of a number that was taken meanwhile this may be anything: then the count of changes is another.
        let next = link(index).load(Ordering::Relaxed);
        let new = changed(head, next | awaited);
        self.head
            .compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::SeqCst)
            .map(|_| ())
    }

    /// Puts a number there, which is in the stack no longer or not yet; `link` is its own. From then on the number, its link and
    /// the stack are no longer the caller's to touch.
    ///
    /// # Errors
    ///
    /// When the stack is closed; or when somebody waits for the number, unless the caller is going to tell. Nothing is done then.
    #[inline]
    pub(crate) fn push<W: Atomic<u32>>(
        &self,
        index: u32,
        link: &W,
        tells: bool,
    ) -> Result<(), NotPushed> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (mut below, mut awaited) = (upper(head), 0);
            // Awaited or closed: one comparison on the way that is usual.
            if below >= CLOSED {
                below = first(head);
                if below == CLOSED || !tells {
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

    /// Says in the head whether somebody waits. Who announces a wait then has to look for a number before it waits.
    pub(crate) fn set_awaited(&self, awaited: bool) {
        self.exchange(|head| {
            if awaited {
                head | u64::from(AWAITED) << 32
            } else {
                head & !(u64::from(AWAITED) << 32)
            }
        });
    }

    /// Closes the stack, in which there may be `most` numbers; how many there were.
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

    /// Changes the head; what it was.
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

/// The numbers from that of a head on, at most `most`: a stack that changes meanwhile may lead round in a circle.
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
