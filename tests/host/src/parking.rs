//! Where threads sleep that wait for objects of the dispatcher. Stands for the lists of waiting threads in the objects themselves: here
//! nothing of it lies in the driver's memory, which may be gone by the time a thread wakes up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::origin;
use crate::waits::Waiting;

/// What a thread sleeps for.
pub(crate) trait Objects: Sized {
    /// Stops where a thread must not wait for these while those others sleep.
    fn require_free(&self, asleep: &[Sleeper<Self>]);
}

/// A thread that sleeps.
pub(crate) struct Sleeper<O> {
    pub(crate) thread: u32,
    pub(crate) objects: O,
    /// Which of the objects was signalled for this thread, which doesn't look at any of them any more.
    pub(crate) released: Option<u32>,
}

/// A place where threads sleep.
pub(crate) struct Parking<O> {
    /// How many threads sleep here, or are about to look for the last time before.
    sleepers: AtomicUsize,
    asleep: Mutex<Vec<Sleeper<O>>>,
    wake: Condvar,
}

/// How long a thread sleeps.
pub(crate) enum Limit {
    /// At most until then.
    Until(Instant),
    /// As long as there is hope that somebody wakes it up.
    Hope(Waiting),
}

impl Limit {
    /// For a thread that waits for an object in a function; `None` is no deadline.
    pub(crate) fn new(function: &'static str, object: usize, deadline: Option<Instant>) -> Self {
        match deadline {
            Some(deadline) => Self::Until(deadline),
            None => Self::Hope(Waiting::begin(function, object)),
        }
    }

    /// When to wake up and look.
    fn next_look(&self) -> Instant {
        match self {
            Self::Until(deadline) => *deadline,
            Self::Hope(waiting) => waiting.next_look(),
        }
    }

    /// Whether the thread, which has slept until [`next_look`](Self::next_look), is not to go on. Stops when there is no hope.
    fn is_over(&self) -> bool {
        match self {
            Self::Until(_) => true,
            Self::Hope(waiting) => {
                waiting.give_up_when_hopeless(String::new);
                false
            }
        }
    }
}

impl<O: Objects> Parking<O> {
    pub(crate) const fn new() -> Self {
        Self {
            sleepers: AtomicUsize::new(0),
            asleep: Mutex::new(Vec::new()),
            wake: Condvar::new(),
        }
    }

    /// Whether a thread sleeps here, or is about to.
    #[inline]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.sleepers.load(Ordering::SeqCst) > 0
    }

    /// The threads that sleep here, which go on sleeping until the lock is given back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Sleeper<O>>> {
        self.asleep.lock()
    }

    /// The first that `look` gives of the threads that nobody has released.
    pub(crate) fn find<R>(&self, look: impl FnMut(&Sleeper<O>) -> Option<R>) -> Option<R> {
        if !self.has_sleepers() {
            return None;
        }
        let asleep = self.lock();
        let mut waiting = asleep.iter().filter(|sleeper| sleeper.released.is_none());
        waiting.find_map(look)
    }

    /// Wakes up those that sleep here, to look again.
    pub(crate) fn wake(&self) {
        if self.has_sleepers() {
            // One that is about to sleep has looked before, and holds the lock until it sleeps.
            drop(self.lock());
            self.wake.notify_all();
        }
    }

    /// Sleeps until one of the objects was signalled for this thread, of which the number is given, or `end` gives something, which
    /// is asked whenever the thread wakes up; `None` when the time is over.
    pub(crate) fn sleep(
        &self,
        objects: O,
        limit: &Limit,
        mut end: impl FnMut() -> Option<u32>,
    ) -> Option<u32> {
        let thread = origin::thread_number();
        let mut asleep = self.lock();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Nobody has signalled an object for this thread since it counts: all are still there.
        let mut ended = end();
        if ended.is_none() {
            objects.require_free(&asleep);
            asleep.push(Sleeper {
                thread,
                objects,
                released: None,
            });
            loop {
                let woken = self.wake.wait_until(&mut asleep, limit.next_look());
                let own = asleep.iter().position(|sleeper| sleeper.thread == thread);
                let released = own.and_then(|own| asleep[own].released);
                ended = released.or_else(&mut end);
                if ended.is_some() || woken.timed_out() && limit.is_over() {
                    own.map(|own| asleep.swap_remove(own));
                    break;
                }
            }
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        ended
    }
}
