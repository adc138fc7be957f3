//! Which buffers of a pool are free, and who waits for one: a stack of their numbers that takes no lock. Stands for the
//! interlocked singly linked list (`SLIST_HEADER`) of a lookaside list.
//!
//! Nothing here depends on the kernel or on a type of atomics: [`Atomic`] is all that is asked, so that a model checker can
//! run this very code.

use core::sync::atomic::Ordering;

/// An atomic number.
pub(crate) trait Atomic<T> {
    /// As `AtomicU32::load`.
    fn load(&self, order: Ordering) -> T;
    /// As `AtomicU32::store`.
    fn store(&self, value: T, order: Ordering);
    /// As `AtomicU32::fetch_add`.
    fn fetch_add(&self, value: T, order: Ordering) -> T;
    /// As `AtomicU32::fetch_sub`.
    fn fetch_sub(&self, value: T, order: Ordering) -> T;
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
        impl Atomic<$number> for core::sync::atomic::$atomic {
            #[inline]
            fn load(&self, order: Ordering) -> $number {
                self.load(order)
            }

            #[inline]
            fn store(&self, value: $number, order: Ordering) {
                self.store(value, order);
            }

            #[inline]
            fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                self.fetch_add(value, order)
            }

            #[inline]
            fn fetch_sub(&self, value: $number, order: Ordering) -> $number {
                self.fetch_sub(value, order)
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

/// A stack of numbers, each at most once. The head carries a count of changes, so that a number that was taken and put back
/// meanwhile is noticed.
///
/// The count has 32 bits: a thread that is stopped in the middle of taking would have to sleep through exactly 2³² changes, or a
/// multiple, to be fooled. At 100 million a second that is a sleep of 43 seconds to the nanosecond.
///
/// Each number has a link, which callers keep and lend: the number below it in the stack plus one, or 0.
pub(crate) struct Stack<H, W> {
    /// Changes in the upper half; the first number plus one, or 0, in the lower.
    head: H,
    waiters: W,
}

/// A head with one more change, and room for a number in its lower half.
#[inline]
const fn changed(head: u64) -> u64 {
    (head | u32::MAX as u64).wrapping_add(1)
}

impl<H: Atomic<u64>, W: Atomic<u32>> Stack<H, W> {
    /// An empty stack; both numbers are zero.
    pub(crate) const fn new(head: H, waiters: W) -> Self {
        Self { head, waiters }
    }

    /// Takes a number, which is the caller's until it is pushed.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn pop<'l>(&self, link: impl Fn(u32) -> &'l W) -> Option<u32>
    where
        W: 'l,
    {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let index = (head as u32).checked_sub(1)?;
            // Of a number that was taken meanwhile this may be anything: then the count of changes is another.
            let next = link(index).load(Ordering::Relaxed);
            let new = changed(head) | u64::from(next);
            match self
                .head
                .compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Puts a number there, which is in the stack no longer or not yet; `link` is its own. Says whether somebody waits, who is
    /// to be told.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn push(&self, index: u32, link: &W) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head as u32, Ordering::Relaxed);
            let new = changed(head) | u64::from(index + 1);
            // Sequentially consistent with the waiter, which counts itself before it looks at the head.
            match self
                .head
                .compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.waiters.load(Ordering::SeqCst) > 0
    }

    /// Counts the caller among those who wait. It then has to try [`pop`](Self::pop) before it waits.
    pub(crate) fn wait(&self) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller no longer waits. Says whether another one who does is to be told: two numbers that came back together may
    /// have been told of once.
    #[must_use]
    pub(crate) fn waited(&self) -> bool {
        self.waiters.fetch_sub(1, Ordering::SeqCst) > 1 && !self.is_empty()
    }

    #[allow(clippy::cast_possible_truncation)]
    fn is_empty(&self) -> bool {
        self.head.load(Ordering::SeqCst) as u32 == 0
    }
}
