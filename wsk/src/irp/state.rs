//! [`State`]: the word through which the owner of an operation and its completion routine agree on who may touch the operation.
//!
//! ```text
//!                       ┌──────── 4 retract, 5 give up ───────┐
//!                       ▼                                     │
//!  Completed ─1 start─▶ InFlight ─┬─ 2 wait ───▶ Waiting ─────┤
//!      ▲                   │      ├─ 3 wake ───▶ Waker ───────┘
//!      │                   │      └─ 6 detach ─▶ Detached ──────────── 10 ──▶ the routine frees it
//!      ├──────── 7 ────────┘                       │
//!      ├──────── 8, then the event is set ──── Waiting
//!      └── 11 ── Waking ◀─────────── 9 ─────── Waker
//!                  └─ 6 detach ─▶ WakingDetached ─── 12 ──▶ the routine frees it
//! ```
//!
//! 1 to 6 are the owner's steps, 7 to 12 the routine's. At `Completed` the operation is at rest and the owner's, and the routine
//! no longer touches it, with one exception: an owner that completed out of `Waiting` (8) leaves the operation alone until it has
//! seen the event.
//!
//! Nothing here depends on the kernel or on a type of atomics. The code asks for [`Word`] only, so that a model checker can run it.

#![forbid(unsafe_code)]

use core::sync::atomic::Ordering;

/// An atomic 32-bit word.
pub(crate) trait Word {
    /// As `AtomicU32::load`.
    fn load(&self, order: Ordering) -> u32;
    /// As `AtomicU32::store`.
    fn store(&self, value: u32, order: Ordering);
    /// As `AtomicU32::compare_exchange`.
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32>;
}

impl Word for crate::memory::atomic::AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.compare_exchange(current, new, success, failure)
    }
}

const IN_FLIGHT: u32 = 1;
const WAITING: u32 = 2;
const WAKER: u32 = 3;
const WAKING: u32 = 4;
// Zero, so that zeroed memory is at rest.
const COMPLETED: u32 = 0;
const DETACHED: u32 = 5;
const WAKING_DETACHED: u32 = 6;

/// The state of an operation; at rest by default.
#[derive(Default)]
pub(crate) struct State<W> {
    word: W,
}

/// The part of the completion routine that is left once it has published the completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notify {
    /// Nothing: the owner will look. The operation is no longer the routine's.
    Nobody,
    /// Set the event, the last thing it does with the operation.
    Event,
    /// Take the waker out, call [`State::waking_done`], and wake.
    Waker,
    /// Free the operation.
    Free,
    /// Nothing, and nobody else is notified either: the operation was not in flight. A provider has lost count.
    Spurious,
}

/// The result of an owner's step back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retract {
    /// The operation is in flight, as if the step had not been made.
    InFlight,
    /// It has completed.
    Completed,
    /// It has completed, and the routine is taking the waker out at this moment.
    Waking,
}

impl<W: Word> State<W> {
    /// Owner: the IRP is about to be passed on. Makes 1.
    #[inline]
    pub(crate) fn start(&self) {
        // Release: the routine, which may run on another processor, sees what the owner has written to the operation.
        self.word.store(IN_FLIGHT, Ordering::Release);
    }

    /// Owner: the operation is at rest after all, because the IRP was not passed on. Undoes 1.
    #[inline]
    pub(crate) fn rest(&self) {
        self.word.store(COMPLETED, Ordering::Relaxed);
    }

    /// Owner: whether the operation has completed.
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        // Acquire: the owner sees what the provider and the routine have written.
        self.word.load(Ordering::Acquire) == COMPLETED
    }

    /// Owner: announces that it waits for the event; `false` when the operation has completed and no event will come. Makes 2.
    #[inline]
    pub(crate) fn wait(&self) -> bool {
        self.step(IN_FLIGHT, WAITING)
    }

    /// Owner: announces that the waker, which it has put in its place, is to be woken; `false` when the operation has
    /// completed and the waker is the owner's again. Makes 3.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        self.step(IN_FLIGHT, WAKER)
    }

    /// Owner: gives up waiting; `false` when the operation has completed, and the event is or will be set. Makes 5.
    #[inline]
    pub(crate) fn stop_waiting(&self) -> bool {
        self.step(WAITING, IN_FLIGHT)
    }

    /// Owner: takes the waker back, if one was announced. Makes 4.
    #[inline]
    pub(crate) fn retract(&self) -> Retract {
        // Only the owner announces a waker: where none is, nothing has to be exchanged.
        let seen = match self.word.load(Ordering::Acquire) {
            WAKER => self
                .word
                .compare_exchange(WAKER, IN_FLIGHT, Ordering::AcqRel, Ordering::Acquire)
                .map_or_else(|seen| seen, |_| IN_FLIGHT),
            seen => seen,
        };
        match seen {
            IN_FLIGHT => Retract::InFlight,
            WAKING => Retract::Waking,
            _ => Retract::Completed,
        }
    }

    /// Owner: leaves the operation to the routine, out of `InFlight` (no waiter, no waker) or while it is waking; `false`
    /// when it has completed and is the owner's. Makes 6.
    #[inline]
    pub(crate) fn detach(&self) -> bool {
        self.step(IN_FLIGHT, DETACHED) || self.step(WAKING, WAKING_DETACHED)
    }

    /// Routine: publishes the completion. Makes 7, 8, 9 or 10.
    #[inline]
    pub(crate) fn complete(&self) -> Notify {
        // Release for the owner that finds it completed, acquire for what a waiter or detaching owner has written.
        match self
            .word
            .compare_exchange(IN_FLIGHT, COMPLETED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Notify::Nobody,
            Err(seen) => self.complete_seen(seen),
        }
    }

    /// As [`complete`](Self::complete), when the owner has gone on from `InFlight`.
    #[inline(never)]
    fn complete_seen(&self, seen: u32) -> Notify {
        let mut seen = seen;
        loop {
            let (next, notify) = match seen {
                IN_FLIGHT => (COMPLETED, Notify::Nobody),
                WAITING => (COMPLETED, Notify::Event),
                WAKER => (WAKING, Notify::Waker),
                DETACHED => return Notify::Free,
                // Completed twice, or never started: a provider that has lost count must not free what others use.
                _ => return Notify::Spurious,
            };
            match self
                .word
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return notify,
                Err(now) => seen = now,
            }
        }
    }

    /// Routine: the waker has been taken out. [`Notify::Nobody`], or [`Notify::Free`] when the owner has detached. Makes 11 or 12.
    #[inline]
    pub(crate) fn waking_done(&self) -> Notify {
        if self.step(WAKING, COMPLETED) {
            Notify::Nobody
        } else {
            Notify::Free
        }
    }

    fn step(&self, from: u32, to: u32) -> bool {
        self.word
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
