//! What the model needs of the kernel: memory that is freed once, events, IRPs that can be cancelled, tasks that are woken.

use std::sync::Arc;
use std::task::Wake;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Condvar, Mutex};

/// A place that one thread may write, or several read, at a time: anything else is a data race, which loom reports.
#[derive(Debug, Default)]
pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

// SAFETY: loom checks every access, and ends the execution at a race.
unsafe impl<T: Send> Sync for Cell<T> {}

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn read<U>(&self, read: impl FnOnce(&T) -> U) -> U {
        // SAFETY: loom checks that nothing writes the cell meanwhile.
        self.0.with(|place| read(unsafe { &*place }))
    }

    pub(crate) fn write<U>(&self, write: impl FnOnce(&mut T) -> U) -> U {
        // SAFETY: loom checks that nothing else uses the cell meanwhile.
        self.0.with_mut(|place| write(unsafe { &mut *place }))
    }

    pub(crate) fn replace(&self, value: T) -> T {
        self.write(|place| core::mem::replace(place, value))
    }
}

/// A piece of memory. Using it at the time it is freed is a data race; later, a panic.
#[derive(Debug)]
pub struct Memory {
    alive: Cell<bool>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            alive: Cell::new(true),
        }
    }
}

impl Memory {
    /// Uses the memory.
    ///
    /// # Panics
    ///
    /// When it was freed.
    pub fn touch(&self) {
        let alive = self.alive.read(|alive| *alive);
        assert!(alive, "memory was used after it was freed");
    }

    /// Frees the memory.
    ///
    /// # Panics
    ///
    /// When it was freed already.
    pub fn free(&self) {
        let alive = self.alive.replace(false);
        assert!(alive, "memory was freed twice");
    }

    /// Whether the memory was freed, when nothing runs any more.
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.alive.read(|alive| !*alive)
    }
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// For ever.
    Never,
    /// Until now: in some interleaving this is any moment.
    Now,
}

/// A `KEVENT`.
#[derive(Debug)]
pub struct Event {
    signalled: Mutex<bool>,
    changed: Condvar,
    /// A synchronisation event lets one thread through; a notification event stays as it is.
    synchronisation: bool,
}

impl Event {
    /// A notification event.
    #[must_use]
    pub fn notification() -> Self {
        Self {
            signalled: Mutex::new(false),
            changed: Condvar::new(),
            synchronisation: false,
        }
    }

    /// A synchronisation event.
    #[must_use]
    pub fn synchronisation() -> Self {
        Self {
            synchronisation: true,
            ..Self::notification()
        }
    }

    /// `KeSetEvent`.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn set(&self) {
        *self.signalled.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// `KeClearEvent`.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn clear(&self) {
        *self.signalled.lock().unwrap() = false;
    }

    /// `KeWaitForSingleObject`: whether the event was signalled within the limit.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn wait(&self, limit: Limit) -> bool {
        let mut signalled = self.signalled.lock().unwrap();
        while !*signalled {
            if limit == Limit::Now {
                return false;
            }
            signalled = self.changed.wait(signalled).unwrap();
        }
        if self.synchronisation {
            *signalled = false;
        }
        true
    }
}

/// A task that sleeps until it is woken.
#[derive(Debug)]
pub struct Task {
    woken: Event,
}

impl Task {
    /// A task that was not woken.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let woken = Event::synchronisation();
        Arc::new(Self { woken })
    }

    /// Sleeps until the task is woken.
    pub fn sleep(&self) {
        self.woken.wait(Limit::Never);
    }

    /// Whether it was woken since it slept.
    #[must_use]
    pub fn was_woken(&self) -> bool {
        self.woken.wait(Limit::Now)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.set();
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did not.
    Unsuccessful,
    /// Well.
    Success,
    /// It was cancelled.
    Cancelled,
}

/// An `IRP`.
#[derive(Debug)]
pub struct Irp {
    /// Counts the uses of the IRP: written by `IoReuseIrp`, and by nothing that is in flight.
    generation: Cell<u32>,
    status: Cell<Status>,
    /// Whether it has a cancel routine: who takes that away completes the IRP.
    cancellable: AtomicBool,
}

impl Default for Irp {
    fn default() -> Self {
        Self {
            generation: Cell::new(0),
            status: Cell::new(Status::Unsuccessful),
            cancellable: AtomicBool::new(false),
        }
    }
}

impl Irp {
    /// `IoReuseIrp`.
    pub fn reuse(&self) {
        self.generation.write(|generation| *generation += 1);
        self.end(Status::Unsuccessful);
    }

    /// How often the IRP was used. Reading this while it is reused is a race.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation.read(|generation| *generation)
    }

    /// What `IoStatus` says.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.read(|status| *status)
    }

    /// Provider: sets `IoStatus`.
    pub fn end(&self, with: Status) {
        self.status.replace(with);
    }

    /// Provider: `IoSetCancelRoutine` with a routine.
    pub fn set_cancellable(&self) {
        self.cancellable.store(true, Ordering::Release);
    }

    /// `IoSetCancelRoutine` with NULL: whether there was a routine, so that the IRP is the caller's to complete.
    #[must_use]
    pub fn take_cancel_routine(&self) -> bool {
        self.cancellable.swap(false, Ordering::AcqRel)
    }
}
