//! Places where threads sleep that wait for objects of the dispatcher. Stands for the lists of waiting threads in the objects. Here the
//! lists do not lie in the driver's memory, which may be freed before a thread wakes up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::origin;
use crate::waits::Waiting;

/// A thread that sleeps, and the objects that it sleeps for.
pub(crate) struct Sleeper<O> {
    pub(crate) thread: u32,
    pub(crate) objects: O,
    /// The number of the object that released this thread. The thread does not touch any of the objects after that.
    pub(crate) released: Option<u32>,
}

/// A place where threads sleep.
pub(crate) struct Parking<O> {
    /// The number of threads that sleep here, or are about to.
    sleepers: AtomicUsize,
    asleep: Mutex<Vec<Sleeper<O>>>,
    wake: Condvar,
}

/// The limit of a thread's sleep.
pub(crate) enum Limit {
    /// The thread sleeps at most until this time.
    Until(Instant),
    /// The thread sleeps as long as something else makes progress.
    Hope(Waiting),
}

impl Limit {
    /// The limit of a wait for an object in `function`; without a deadline if that is `None`.
    pub(crate) fn new(function: &'static str, object: usize, deadline: Option<Instant>) -> Self {
        match deadline {
            Some(deadline) => Self::Until(deadline),
            None => Self::Hope(Waiting::begin(function, object)),
        }
    }

    /// The time to wake up and look.
    fn next_look(&self) -> Instant {
        match self {
            Self::Until(deadline) => *deadline,
            Self::Hope(waiting) => waiting.next_look(),
        }
    }

    /// Whether the wait is over, after [`next_look`](Self::next_look). Stops when the wait is hopeless.
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

impl<O> Parking<O> {
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

    /// Locks the list of the threads that sleep here. None of them wakes up meanwhile.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Sleeper<O>>> {
        self.asleep.lock()
    }

    /// The first result of `look` for the threads that are not released.
    pub(crate) fn find<R>(&self, look: impl FnMut(&Sleeper<O>) -> Option<R>) -> Option<R> {
        if !self.has_sleepers() {
            return None;
        }
        let asleep = self.lock();
        let mut waiting = asleep.iter().filter(|sleeper| sleeper.released.is_none());
        waiting.find_map(look)
    }

    /// Wakes up the threads that sleep here, so that each looks at its objects.
    pub(crate) fn wake(&self) {
        if self.has_sleepers() {
            // A thread that is about to sleep holds the lock until it sleeps.
            drop(self.lock());
            self.notify();
        }
    }

    /// As [`wake`](Self::wake), for a caller that has held the lock since a thread could be about to sleep.
    pub(crate) fn notify(&self) {
        self.wake.notify_all();
    }

    /// Sleeps until an object releases this thread, and returns its number; or until `end`, which is called whenever the thread wakes up,
    /// returns one; `None` when the limit is reached. Before the thread sleeps, `require_free` may stop a wait that is not allowed while
    /// the others sleep.
    pub(crate) fn sleep(
        &self,
        objects: O,
        limit: &Limit,
        require_free: impl FnOnce(&O, &[Sleeper<O>]),
        mut end: impl FnMut() -> Option<u32>,
    ) -> Option<u32> {
        let thread = origin::thread_number();
        let mut asleep = self.lock();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // From here on a signal releases this thread by its entry in the list, so the objects still exist in this call.
        let mut ended = end();
        if ended.is_none() {
            require_free(&objects, &asleep);
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
