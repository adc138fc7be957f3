//! The kernel's dispatcher: the current IRQL; the time since the system started; and the objects of the kernel that lie in this crate's memory.
//! Those are events (`KEVENT`), by which a thread waits until something else has happened; spin locks (`KSPIN_LOCK`); and timers (`KTIMER`)
//! with their DPCs (`KDPC`).

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::time::Duration;

use wsk_sys::{
    APC_LEVEL, EVENT_TYPE, IO_NO_INCREMENT, KDPC, KEVENT, KTIMER, KWAIT_REASON, KeAcquireSpinLock,
    KeCancelTimer, KeClearEvent, KeDelayExecutionThread, KeFlushQueuedDpcs, KeGetCurrentIrql,
    KeInitializeDpc, KeInitializeEvent, KeInitializeTimerEx, KeQueryInterruptTime,
    KeReleaseSpinLock, KeSetEvent, KeSetTimer, KeWaitForMultipleObjects, KeWaitForSingleObject,
    LARGE_INTEGER, MODE, STATUS_SUCCESS, TIMER_TYPE, WAIT_TYPE,
};

/// The current IRQL. IRQL: any.
#[inline]
pub(crate) fn irql() -> u8 {
    // SAFETY: reading the IRQL has no precondition.
    unsafe { KeGetCurrentIrql() }
}

/// The time since the system started, in units of 100 nanoseconds. IRQL: any.
#[inline]
pub(crate) fn interrupt_time() -> u64 {
    // SAFETY: may be called at any IRQL.
    unsafe { KeQueryInterruptTime() }
}

/// The proof that waiting is allowed: the IRQL was at most `APC_LEVEL` when this was made.
///
/// The kernel waits up to that level
/// ([`KeWaitForSingleObject`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitforsingleobject)). A
/// completion routine ends the wait for an IRP, so that the waiting thread need not run APCs.
///
/// # Invariants
///
/// Only the call that has made the proof uses it. Raising the IRQL is unsafe, and code that raises it also lowers it again.
#[derive(Clone, Copy)]
pub struct MayWait(());

impl MayWait {
    /// The proof, if the current IRQL is at most `limit`, and at most `APC_LEVEL`. Otherwise the IRQL.
    #[inline]
    pub(crate) fn at_most(limit: u8) -> Result<Self, u8> {
        let current = irql();
        if current <= limit.min(APC_LEVEL) {
            // INVARIANT: just checked.
            Ok(Self(()))
        } else {
            Err(current)
        }
    }
}

/// A time from now in the kernel's form.
pub(crate) fn interval(time: Duration) -> LARGE_INTEGER {
    interval_of(units(time))
}

/// A time in units of 100 nanoseconds, without a 128-bit division. If it does not fit, the longest time.
pub(crate) fn units(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(10_000_000)
        .saturating_add(u64::from(time.subsec_nanos() / 100))
}

/// Like [`interval`], from units.
fn interval_of(units: u64) -> LARGE_INTEGER {
    // At most half the range, so that the kernel can add the time since boot without overflow.
    let units = i64::try_from(units).unwrap_or(i64::MAX).min(i64::MAX / 2);
    LARGE_INTEGER { QuadPart: -units }
}

/// The memory of an object, to which the kernel keeps pointers.
///
/// # Invariants
///
/// It is nonpaged. The object is initialised where it lies before anybody uses it, does not move from then on, and is used by way of the
/// kernel only.
struct Object<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: an object that nobody uses yet may be moved to any thread.
unsafe impl<T> Send for Object<T> {}
// SAFETY: by the invariant the kernel alone uses the object, and synchronises that.
unsafe impl<T> Sync for Object<T> {}

impl<T> Object<T> {
    /// The memory of an object that is not initialised.
    const fn room() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    const fn place(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// `KernelMode` as a `KPROCESSOR_MODE`.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const KERNEL_MODE: i8 = MODE::KernelMode.0 as i8;

/// An event.
pub(crate) struct Event(Object<KEVENT>);

impl Event {
    /// The room for an event.
    ///
    /// # Safety
    ///
    /// Before it is used in any other way it is put where it stays, in nonpaged memory, and [initialised](Self::initialise).
    pub(crate) const unsafe fn room() -> Self {
        Self(Object::room())
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
        unsafe { KeSetEvent(self.0.place(), IO_NO_INCREMENT.into(), 0) };
    }

    /// Clears the event. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn clear(&self) {
        // SAFETY: by the invariant the event is initialised.
        unsafe { KeClearEvent(self.0.place()) };
    }

    /// Waits until the event is set, or `limit` runs out. Says whether it was set.
    pub(crate) fn wait(&self, _: MayWait, limit: Option<Duration>) -> bool {
        let mut limit = limit.map(interval);
        let timeout = pointer_to(&mut limit);
        // SAFETY: by the invariant the event is initialised, in nonpaged memory, and borrowed for the call. The IRQL allows the wait,
        // as the proof says, and the time is valid for the call.
        let status = unsafe {
            let event = self.0.place().cast();
            KeWaitForSingleObject(event, KWAIT_REASON::Executive, KERNEL_MODE, 0, timeout)
        };
        status == STATUS_SUCCESS
    }

    /// Waits until the event is set, or `other` is, or `limit` runs out. Says whether this one was set.
    pub(crate) fn wait_or(&self, other: &Self, _: MayWait, limit: Option<Duration>) -> bool {
        let mut limit = limit.map(interval);
        let timeout = pointer_to(&mut limit);
        // If both are set the first of them ends the wait.
        let mut objects = [self.0.place().cast(), other.0.place().cast()];
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

/// The pointer to a limit that a wait takes. Null for no limit.
fn pointer_to(limit: &mut Option<LARGE_INTEGER>) -> *mut LARGE_INTEGER {
    limit
        .as_mut()
        .map_or(core::ptr::null_mut(), core::ptr::from_mut)
}

/// Lets other threads run for a moment, those with less priority too. The one way to wait for a thread that sets no event.
pub(crate) fn pause(_: MayWait, time: Duration) {
    let mut time = interval(time);
    // SAFETY: the IRQL allows the wait, as the proof says, and the time is valid for the call.
    let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, 0, &raw mut time) };
}

/// A value behind a spin lock, with a timer.
///
/// # Invariants
///
/// The lock is 0, which is free, until it is used. What is in cells is touched with the lock held only. Timer and DPC are initialised
/// where `timer` says so.
pub(crate) struct SpinLocked<T> {
    lock: UnsafeCell<usize>,
    value: UnsafeCell<T>,
    timer: UnsafeCell<TimerState>,
    objects: TimerObjects,
}

/// Apart from its state, because the kernel keeps pointers to it: it is never borrowed exclusively.
struct TimerObjects {
    timer: Object<KTIMER>,
    dpc: Object<KDPC>,
}

/// The state of a timer.
struct TimerState {
    /// Cancels the timer, once it is initialised. By way of a pointer, so that it is not in a driver that never sets the timer.
    cancel: Option<fn(&TimerObjects)>,
    /// How often the timer was set.
    count: usize,
}

// SAFETY: what is in cells is touched with the lock held only, by the invariant.
unsafe impl<T: Send> Sync for SpinLocked<T> {}

/// A timer, as long as its lock is held.
pub(crate) struct Timer<'t> {
    state: &'t mut TimerState,
    objects: &'static TimerObjects,
}

/// Says that this timer was stopped after it was set so many times.
pub(crate) struct TimerStopped {
    objects: &'static TimerObjects,
    count: usize,
}

/// Says that no DPC of a stopped timer is on its way, unless it was set again.
pub(crate) struct Flushed(TimerStopped);

/// The function that a timer calls at its time, by a DPC.
pub(crate) type Ring = extern "system" fn(*mut KDPC, *mut c_void, *mut c_void, *mut c_void);

impl<T> SpinLocked<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
            timer: UnsafeCell::new(TimerState {
                cancel: None,
                count: 0,
            }),
            objects: TimerObjects {
                timer: Object::room(),
                dpc: Object::room(),
            },
        }
    }

    /// Gives value and timer to `change`, with the lock held: at `DISPATCH_LEVEL`. `change` neither unwinds nor takes the lock, which
    /// would be held for ever. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn with<R>(&'static self, change: impl FnOnce(&mut T, Timer<'_>) -> R) -> R {
        let mut irql = 0;
        // SAFETY: by the invariant the lock is initialised; callers are at `DISPATCH_LEVEL` at most and do not hold it. What is in cells is
        // this call's as long as it does.
        unsafe {
            KeAcquireSpinLock(self.lock.get(), &raw mut irql);
            let timer = Timer {
                state: &mut *self.timer.get(),
                objects: &self.objects,
            };
            let result = change(&mut *self.value.get(), timer);
            KeReleaseSpinLock(self.lock.get(), irql);
            result
        }
    }
}

impl Timer<'_> {
    /// Has `ring` called when some time has passed, at `DISPATCH_LEVEL`. If the timer is set already that is put off.
    pub(crate) fn set(&mut self, time: Duration, ring: Ring) {
        let (timer, dpc) = (self.objects.timer.place(), self.objects.dpc.place());
        // SAFETY: timer and DPC are statics. As the state says they are initialised, or nobody uses them. To set the timer anew only
        // puts it off.
        unsafe {
            if self.state.cancel.is_none() {
                KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
                KeInitializeDpc(dpc, Some(ring), core::ptr::null_mut());
                // INVARIANT: initialised.
                self.state.cancel = Some(cancel);
            }
            KeSetTimer(timer, interval(time), dpc);
        }
        self.state.count = self.state.count.wrapping_add(1);
    }

    /// Stops the timer.
    pub(crate) fn stop(&mut self) -> TimerStopped {
        if let Some(cancel) = self.state.cancel {
            cancel(self.objects);
        }
        TimerStopped {
            objects: self.objects,
            count: self.state.count,
        }
    }

    /// Ends the use of a timer that was stopped, unless it was set again: who sets it next initialises it anew.
    pub(crate) fn end(&mut self, flushed: &Flushed) {
        let Flushed(stopped) = flushed;
        if core::ptr::eq(self.objects, stopped.objects) && self.state.count == stopped.count {
            // INVARIANT: the timer is not set, and no DPC is on its way.
            self.state.cancel = None;
        }
    }
}

/// Cancels a timer that is initialised.
fn cancel(objects: &TimerObjects) {
    // SAFETY: the state of the timer has this only while the timer is initialised.
    unsafe { KeCancelTimer(objects.timer.place()) };
}

/// Waits until all DPCs that are on their way have run, and so those of a timer that was stopped. IRQL: `<= APC_LEVEL`.
pub(crate) fn flush(_: MayWait, stopped: Option<TimerStopped>) -> Option<Flushed> {
    // SAFETY: the IRQL allows to wait, as the proof says.
    unsafe { KeFlushQueuedDpcs() };
    // INVARIANT: it was stopped before the call, which waits for its DPCs.
    stopped.map(Flushed)
}
