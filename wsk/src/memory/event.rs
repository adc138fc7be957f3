//! Kernel events (`KEVENT`): how a thread waits until something else has happened.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::time::Duration;

use wsk_sys::{
    EVENT_TYPE, IO_NO_INCREMENT, KEVENT, KWAIT_REASON, KeClearEvent, KeDelayExecutionThread,
    KeInitializeEvent, KeSetEvent, KeWaitForMultipleObjects, KeWaitForSingleObject, LARGE_INTEGER,
    MODE, STATUS_SUCCESS, WAIT_TYPE,
};

use crate::irql::MayWait;
use crate::time::interval;

/// `KernelMode` as a `KPROCESSOR_MODE`.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const KERNEL_MODE: i8 = MODE::KernelMode.0 as i8;

/// An event.
///
/// # Invariants
///
/// It was initialised where it lies, in nonpaged memory, before anybody sets, clears or waits for it, and does not move from then on.
pub(crate) struct Event(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: an event that nobody uses yet may be moved to any thread.
unsafe impl Send for Event {}
// SAFETY: the event is used by way of the kernel only, which synchronises that.
unsafe impl Sync for Event {}

impl Event {
    /// The room for an event.
    ///
    /// # Safety
    ///
    /// Before it is used in any other way it is put where it stays, in nonpaged memory, and [initialised](Self::initialise).
    pub(crate) const unsafe fn room() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// Makes the event ready for use, not set. A notification event stays set until it is cleared; another one is cleared by the
    /// first wait that it ends.
    ///
    /// # Safety
    ///
    /// `place` is nonpaged memory for an event, which does not move any more and which nobody uses yet.
    pub(crate) unsafe fn initialise(place: *mut Self, notification: bool) {
        let kind = if notification {
            EVENT_TYPE::NotificationEvent
        } else {
            EVENT_TYPE::SynchronizationEvent
        };
        // SAFETY: the caller gives the place, which has the layout of the structure.
        // INVARIANT: initialised where it stays.
        unsafe { KeInitializeEvent(place.cast::<KEVENT>(), kind, 0) };
    }

    /// Gives `call` a notification event on the stack, which is there until it returns.
    pub(crate) fn on_stack<R>(call: impl FnOnce(&Self) -> R) -> R {
        let event;
        // SAFETY: it is initialised where it stays, before it is used. A kernel stack is not paged out while its thread waits in kernel
        // mode.
        unsafe {
            event = Self::room();
            Self::initialise((&raw const event).cast_mut(), true);
        }
        call(&event)
    }

    /// Sets the event. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn set(&self) {
        // SAFETY: by the invariant the event is initialised, in nonpaged memory; the caller has it for the time of the call.
        unsafe { KeSetEvent(self.0.get().cast(), IO_NO_INCREMENT.into(), 0) };
    }

    /// Clears the event. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn clear(&self) {
        // SAFETY: by the invariant the event is initialised.
        unsafe { KeClearEvent(self.0.get().cast()) };
    }

    /// Waits until the event is set, or `limit` runs out; says whether it was set.
    pub(crate) fn wait(&self, _: MayWait, limit: Option<Duration>) -> bool {
        let mut limit = limit.map(interval);
        let timeout = pointer_to(&mut limit);
        // SAFETY: by the invariant the event is initialised, in nonpaged memory, and borrowed for the call. The IRQL allows the wait,
        // as the proof says, and the time is valid for the call.
        let status = unsafe {
            let event = self.0.get().cast();
            KeWaitForSingleObject(event, KWAIT_REASON::Executive, KERNEL_MODE, 0, timeout)
        };
        status == STATUS_SUCCESS
    }

    /// Waits until the event is set, or `other` is, or `limit` runs out; says whether this one was set.
    pub(crate) fn wait_or(&self, other: &Self, _: MayWait, limit: Option<Duration>) -> bool {
        let mut limit = limit.map(interval);
        let timeout = pointer_to(&mut limit);
        // Where both are set, the first of them ends the wait.
        let mut objects = [self.0.get().cast(), other.0.get().cast()];
        // SAFETY: by the invariant the events are initialised, in nonpaged memory, and borrowed for the call. The IRQL allows the wait,
        // as the proof says, and the time is valid for the call. Two objects need no room for wait blocks: a thread has three.
        let status = unsafe {
            KeWaitForMultipleObjects(
                2,
                objects.as_mut_ptr(),
                WAIT_TYPE::WaitAny,
                KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                timeout,
                core::ptr::null_mut(),
            )
        };
        status == STATUS_SUCCESS
    }
}

/// A limit as a wait takes it: null for none.
fn pointer_to(limit: &mut Option<LARGE_INTEGER>) -> *mut LARGE_INTEGER {
    limit
        .as_mut()
        .map_or(core::ptr::null_mut(), core::ptr::from_mut)
}

/// Lets others run for a moment, those with less priority too: the one way to wait for a thread that sets no event.
pub(crate) fn pause(_: MayWait, time: Duration) {
    let mut time = interval(time);
    // SAFETY: the IRQL allows the wait, as the proof says, and the time is valid for the call.
    let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, 0, &raw mut time) };
}
