//! What a driver waits with: events, IRPs whose completion signals one, system threads.

use core::ffi::c_void;
use core::ptr;

use wsk_sys::*;

/// An event that any thread may use.
///
/// # Invariants
///
/// It points at an event that is initialised, and not freed while it is used: [`new`](Self::new) leaks it.
#[derive(Clone, Copy)]
pub struct Event(*mut KEVENT);

// SAFETY: by the invariant it is alive on every thread, and the kernel's functions change it atomically.
unsafe impl Send for Event {}
// SAFETY: as for `Send`.
unsafe impl Sync for Event {}

impl Event {
    pub fn new(kind: EVENT_TYPE, state: bool) -> Self {
        let event = Box::into_raw(Box::new(KEVENT::default()));
        // SAFETY: the memory is that of an event, which nobody else knows yet.
        unsafe { KeInitializeEvent(event, kind, u8::from(state)) };
        // INVARIANT: it was initialised just now, and is never freed.
        Self(event)
    }

    /// Takes an event that lies in memory of the test's own.
    ///
    /// # Safety
    ///
    /// It is initialised, and stays allocated while the value or a copy of it is used.
    pub const unsafe fn at(event: *mut KEVENT) -> Self {
        // INVARIANT: the caller says so.
        Self(event)
    }

    pub fn raw(self) -> *mut c_void {
        self.0.cast()
    }

    pub fn set(self) -> i32 {
        // SAFETY: by the invariant.
        unsafe { KeSetEvent(self.0, 0, 0) }
    }

    pub fn read(self) -> i32 {
        // SAFETY: by the invariant.
        unsafe { KeReadStateEvent(self.0) }
    }

    pub fn reset(self) -> i32 {
        // SAFETY: by the invariant.
        unsafe { KeResetEvent(self.0) }
    }

    pub fn clear(self) {
        // SAFETY: by the invariant.
        unsafe { KeClearEvent(self.0) };
    }

    pub fn wait(self, timeout: Option<i64>) -> NTSTATUS {
        // SAFETY: by the invariant.
        unsafe { wait(self.raw(), timeout) }
    }
}

/// `KeWaitForSingleObject`, for ever or until a time has passed.
///
/// # Safety
///
/// `object` is an event, a timer or a thread, and stays one until it is signalled or the time is over.
pub unsafe fn wait(object: *mut c_void, timeout: Option<i64>) -> NTSTATUS {
    let mut timeout = timeout.map(|timeout| LARGE_INTEGER { QuadPart: timeout });
    let timeout = timeout
        .as_mut()
        .map_or(ptr::null_mut(), |timeout| &raw mut *timeout);
    // SAFETY: the caller says so for the object; the time lives until the wait is over.
    unsafe { KeWaitForSingleObject(object, KWAIT_REASON::Executive, 0, 0, timeout) }
}

/// Starts a system thread; gives its handle.
///
/// # Safety
///
/// The routine may be called with this context, on another thread and at any time.
pub unsafe fn start_thread(
    routine: unsafe extern "system" fn(*mut c_void),
    context: *mut c_void,
) -> *mut c_void {
    let mut handle = ptr::null_mut();
    let none = ptr::null_mut::<c_void>();
    // SAFETY: the place for the handle is there; the caller answers for the routine; all else is optional.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            0,
            none.cast(),
            none,
            none.cast(),
            Some(routine),
            context,
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

/// `ZwClose`.
pub fn close_handle(handle: *mut c_void) -> NTSTATUS {
    // SAFETY: the kernel knows which handles are open.
    unsafe { ZwClose(handle) }
}

/// An IRP with room for so many stack locations, or null when that is refused.
pub fn allocate_irp(locations: i8) -> *mut IRP {
    // SAFETY: nothing is asked of the caller.
    unsafe { IoAllocateIrp(locations, 0) }
}

/// The completion routine of the IRPs here: signals the event that is its context, and keeps the IRP.
unsafe extern "system" fn signal(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context of this routine is an `Event`'s, which is never freed.
    unsafe { KeSetEvent(context.cast(), 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// As the macro `IoSetCompletionRoutine`, for success, error and cancel.
///
/// # Safety
///
/// The IRP is alive, belongs to the caller and has a stack location left. The routine may be called with this context
/// when a call with the IRP completes.
pub unsafe fn set_routine(irp: *mut IRP, routine: PIO_COMPLETION_ROUTINE, context: *mut c_void) {
    // SAFETY: the caller says that the location before the current one is there, and that nobody else touches it.
    unsafe {
        let next = (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation.sub(1);
        (*next).CompletionRoutine = routine;
        (*next).Context = context;
        (*next).Control = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL;
    }
}

/// An IRP with the event that its completion signals.
///
/// # Invariants
///
/// The IRP is alive until [`free`](Self::free). Nobody but its completion routine signals the event.
pub struct Call {
    irp: *mut IRP,
    event: Event,
}

// SAFETY: an IRP may be used from any thread, by one at a time.
unsafe impl Send for Call {}

impl Call {
    pub fn new() -> Self {
        let irp = allocate_irp(1);
        assert!(!irp.is_null());
        // SAFETY: the IRP is new; nothing frees it before `free`.
        unsafe { Self::with(irp) }
    }

    /// Uses an IRP that exists.
    ///
    /// # Safety
    ///
    /// The IRP belongs to the caller, has a stack location left, and stays alive while the call is used.
    pub unsafe fn with(irp: *mut IRP) -> Self {
        let event = Event::new(EVENT_TYPE::SynchronizationEvent, false);
        // SAFETY: the caller says so for the IRP. The routine wants an `Event` of `new` as its context.
        unsafe { set_routine(irp, Some(signal), event.raw()) };
        // INVARIANT: the caller says so; nobody else knows the event.
        Self { irp, event }
    }

    /// With a completion routine of the test's own instead: there is nothing to wait for then.
    ///
    /// # Safety
    ///
    /// The routine may be called with this context, on another thread, when the call completes.
    pub unsafe fn completed_by(
        routine: unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS,
        context: *mut c_void,
    ) -> Self {
        let call = Self::new();
        // SAFETY: the IRP is new; the caller says so for the routine.
        unsafe { set_routine(call.irp, Some(routine), context) };
        call
    }

    pub fn irp(&self) -> *mut IRP {
        self.irp
    }

    /// Makes the IRP ready for the next call.
    pub fn again(&mut self) {
        // The routine of the call before may be about to signal the old event, if nobody waited for it.
        self.event = Event::new(EVENT_TYPE::SynchronizationEvent, false);
        // SAFETY: by the invariant the IRP is alive. The kernel stops when it is in flight, so it belongs to the call
        // here and has its stack location back.
        unsafe {
            IoReuseIrp(self.irp, STATUS_UNSUCCESSFUL);
            set_routine(self.irp, Some(signal), self.event.raw());
        }
    }

    /// `IoCancelIrp`.
    pub fn cancel(&self) -> u8 {
        // SAFETY: by the invariant the IRP is alive.
        unsafe { IoCancelIrp(self.irp) }
    }

    pub fn is_done(&self) -> bool {
        self.event.read() != 0
    }

    pub fn wait(&mut self) -> (NTSTATUS, usize) {
        assert_eq!(self.event.wait(None), STATUS_SUCCESS);
        // SAFETY: by the invariant the IRP is alive and its completion routine was called: it has come back, and goes
        // on its way again after `again` only.
        unsafe {
            (
                (*self.irp).IoStatus.Anonymous1.Status,
                (*self.irp).IoStatus.Information,
            )
        }
    }

    pub fn free(self) {
        // SAFETY: by the invariant the IRP is alive. The kernel stops when it is in flight.
        unsafe { IoFreeIrp(self.irp) };
    }

    /// Waits, frees, and gives the outcome.
    pub fn finish(mut self) -> (NTSTATUS, usize) {
        let outcome = self.wait();
        self.free();
        outcome
    }
}

/// Starts a call with an IRP of its own and waits for its end: what `start` gives to the kernel has to live until then,
/// no longer.
#[track_caller]
pub fn conclude(start: impl FnOnce(&Call) -> NTSTATUS) -> (NTSTATUS, usize) {
    let call = Call::new();
    let returned = start(&call);
    let outcome = call.finish();
    assert!(
        returned == outcome.0 || returned == STATUS_PENDING,
        "{returned:?} {outcome:?}"
    );
    outcome
}
