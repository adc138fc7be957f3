//! The list of free slots of a pool, and how to wait for one. Stands for a lookaside list with a bound.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64};
use core::time::Duration;

use wsk_sys::{
    EVENT_TYPE, IO_NO_INCREMENT, KEVENT, KWAIT_REASON, KeInitializeEvent,
    KeQueryUnbiasedInterruptTime, KeSetEvent, KeWaitForSingleObject, STATUS_SUCCESS,
};

use crate::error::Error;
use crate::irql::require_passive;
use crate::operation::{KERNEL_MODE, interval_of, units};
use crate::stack::Stack;

/// The numbers of the free slots.
pub(crate) struct FreeList {
    stack: Stack<AtomicU64, AtomicU32>,
    /// Set for one waiter, when a number has come back.
    available: UnsafeCell<KEVENT>,
}

// SAFETY: the stack is atomic numbers. An event that nobody waits for yet may be moved to any thread.
unsafe impl Send for FreeList {}
// SAFETY: the stack is atomic numbers, and the event is used only by way of the kernel, which synchronises that.
unsafe impl Sync for FreeList {}

impl FreeList {
    /// An empty list, for which nobody can wait before it has [settled](Self::settle).
    pub(crate) const fn new() -> Self {
        Self {
            stack: Stack::new(AtomicU64::new(0), AtomicU32::new(0)),
            // SAFETY: all-zero bytes are valid for the event, which is C's.
            available: UnsafeCell::new(unsafe { core::mem::zeroed() }),
        }
    }

    /// Makes the list ready to be waited for.
    ///
    /// # Safety
    ///
    /// The list is in nonpaged memory and does not move any more; nobody waits yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: the caller says that the memory is nonpaged and stays, and that nobody uses the event yet.
        unsafe { KeInitializeEvent(self.available.get(), EVENT_TYPE::SynchronizationEvent, 0) };
    }

    /// Takes a number, if there is one. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn pop<'l>(&self, link: impl Fn(u32) -> &'l AtomicU32) -> Option<u32> {
        self.stack.pop(link)
    }

    /// Puts a number back, of which `link` is the link. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn push(&self, index: u32, link: &AtomicU32) {
        if self.stack.push(index, link) {
            self.announce();
        }
    }

    /// Has `take` take what there is, waiting until there is some or `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn take_within<T>(
        &self,
        limit: Option<Duration>,
        take: impl Fn() -> Option<T>,
    ) -> Result<T, Error> {
        require_passive()?;
        if let Some(taken) = take() {
            return Ok(taken);
        }
        self.stack.wait();
        let deadline = limit.map(Deadline::after);
        let taken = loop {
            if let Some(taken) = take() {
                break Ok(taken);
            }
            let left = deadline.as_ref().map(Deadline::left);
            let mut left = left.map(interval_of);
            let timeout = left
                .as_mut()
                .map_or(core::ptr::null_mut(), core::ptr::from_mut);
            // SAFETY: pools are made with lists that have settled, so the event is initialised and in nonpaged memory, which the
            // caller's pool keeps. PASSIVE_LEVEL was checked, and the time-out is valid for the call.
            let status = unsafe {
                let event = self.available.get().cast();
                KeWaitForSingleObject(event, KWAIT_REASON::Executive, KERNEL_MODE, 0, timeout)
            };
            if status != STATUS_SUCCESS {
                break take().ok_or(Error::PoolEmpty);
            }
        };
        // Two that came back together may have set the event once: pass it on.
        if self.stack.waited() {
            self.announce();
        }
        taken
    }

    #[cold]
    fn announce(&self) {
        // SAFETY: somebody waits, which nobody does before the list has settled: the event is initialised and in nonpaged memory. It
        // stays as long as the pool that the caller has.
        unsafe { KeSetEvent(self.available.get(), IO_NO_INCREMENT.into(), 0) };
    }
}

/// A moment up to which something is waited for, however often the wait is taken up again. In units of 100 nanoseconds.
struct Deadline {
    start: u64,
    limit: u64,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        Self {
            start: Self::now(),
            limit: units(limit),
        }
    }

    /// What is left of the time.
    fn left(&self) -> u64 {
        self.limit
            .saturating_sub(Self::now().saturating_sub(self.start))
    }

    /// The time since the system started.
    fn now() -> u64 {
        // SAFETY: may be called at any IRQL.
        unsafe { KeQueryUnbiasedInterruptTime() }
    }
}
