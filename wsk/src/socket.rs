//! What the handles of a datagram socket share: the `WSK_SOCKET`, and the operations set aside for it.

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;

use wsk_sys::{
    CMSGHDR, IRP, NTSTATUS, STATUS_CANCELLED, WSK_EVENT_CALLBACK_CONTROL, WSK_SOCKET,
    WskProviderDatagramDispatch,
};

use crate::address::Family;
use crate::buffer::Held;
use crate::error::{Call, Error};
use crate::events::Events;
use crate::operation::{Arguments, Idle, Observer, Outcome, Spare};
use crate::registration::Capture;
use crate::shared::{Counted, Shared};

/// An open socket of the datagram category.
///
/// # Invariants
///
/// `socket` is open from when this is made, through `capture`, until `handles` is zero; then it is closed with the operation
/// in `closing`, once. Whoever calls the socket's functions has a handle.
pub(crate) struct Socket {
    pub(crate) socket: NonNull<WSK_SOCKET>,
    pub(crate) capture: ManuallyDrop<Shared<Capture>>,
    pub(crate) family: Family,
    pub(crate) handles: AtomicUsize,
    pub(crate) bound: AtomicBool,
    /// Whether the remote address or destination is fixed, or about to be.
    pub(crate) fixed: AtomicBool,
    /// Closes the socket. Taken once.
    pub(crate) closing: Spare<()>,
    /// What WSK calls when datagrams arrive. Freed with the socket's memory, when the close has completed.
    pub(crate) events: Option<Events>,
    /// The operation of the calls that wait, when none of them is using it.
    pub(crate) spare: Spare<()>,
}

// SAFETY: WSK's functions may be called on any thread, at the same time; the pointer is only passed to them.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Counted for Socket {
    type Last = Shared<Capture>;

    unsafe fn last(&mut self) -> Shared<Capture> {
        // SAFETY: the caller does nothing but drop the value, whose field is not dropped with it.
        unsafe { ManuallyDrop::take(&mut self.capture) }
    }
}

impl Socket {
    #[inline]
    pub(crate) fn dispatch(&self) -> WskProviderDatagramDispatch {
        // SAFETY: by the invariant the socket is open and of the datagram category, whose table is as long as this Windows
        // makes it, and stays while the socket is open.
        unsafe {
            let table = (*self.socket.as_ptr()).Dispatch.cast_mut().cast();
            WskProviderDatagramDispatch::new(NonNull::new_unchecked(table), self.capture.ntddi())
        }
    }

    #[inline]
    pub(crate) fn require_bound(&self) -> Result<(), Error> {
        if self.bound.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(Error::NotBound)
        }
    }

    /// An operation for a call that waits.
    #[inline]
    pub(crate) fn operation(&self) -> Result<Idle<()>, Error> {
        self.spare.take().map_or_else(Idle::new, Ok)
    }

    /// Makes a request with `operation` and waits until it has completed, or until it has been cancelled because `limit` ran
    /// out. `read` gets the outcome and the arguments; the operation is the spare one again. IRQL: `PASSIVE_LEVEL`.
    ///
    /// When the provider breaks its contract by returning an error without completing the IRP, what is `held` is kept if it can be, and
    /// the error is [`Error::Abandoned`]; memory that cannot be kept is waited for as long as it takes.
    ///
    /// # Safety
    ///
    /// As for [`Idle::start`]; what the parameters point at besides the arguments is valid until what is `held` is dropped.
    #[inline]
    pub(crate) unsafe fn request<T, H: Held>(
        &self,
        operation: Idle<()>,
        call: Call,
        held: H,
        limit: Option<Duration>,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>) -> Result<NTSTATUS, Error>,
        read: impl FnOnce(Outcome, &mut Arguments) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // SAFETY: the caller vouches for the call; the flight's completion is seen below, or the block stays behind.
        let started =
            unsafe { operation.start((), None, |irp, arguments, _| invoke(irp, arguments)) };
        let flight = match started {
            Ok(flight) => flight,
            Err(refused) => {
                self.spare.put(refused.operation);
                return Err(refused.error);
            }
        };
        let timed_out = limit.is_some_and(|limit| !flight.wait(Some(limit)));
        if timed_out {
            flight.cancel();
        }
        if !flight.wait_or_give_up() {
            let status = flight.returned();
            if held.can_keep() {
                held.keep();
                flight.detach();
                core::mem::forget(held);
                return Err(Error::Abandoned { call, status });
            }
            flight.wait(None);
        }
        // SAFETY: a wait said that it has completed.
        let (mut operation, (), outcome) = unsafe { flight.finish() };
        held.settle(operation.arguments());
        drop(held);
        let result = if timed_out && outcome.status == STATUS_CANCELLED {
            Err(Error::TimedOut { call })
        } else {
            read(outcome, operation.arguments())
        };
        self.spare.put(operation);
        result
    }

    /// An observer that holds on to the capture until the completion routine is done with everything else: until then the driver
    /// cannot be unloaded, whatever becomes of the operation and its handle.
    #[inline]
    pub(crate) fn hold_capture(&self) -> Observer {
        let capture = Shared::clone(&self.capture);
        Observer {
            completed: release_capture,
            context: Shared::into_raw(capture),
        }
    }

    /// Undoes [`hold_capture`](Self::hold_capture) for an operation that was not started.
    pub(crate) fn give_capture_back(&self) {
        // SAFETY: the reference was turned into the context of an observer that will not be called; this takes it back.
        drop(unsafe { Shared::<Capture>::from_raw(Shared::as_raw(&self.capture)) });
    }

    /// Closes the socket; its memory and the capture go when WSK has done so. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn close_without_waiting(this: Shared<Self>) {
        let Some(operation) = this.closing.take() else {
            return;
        };
        let (socket, table) = (this.socket, this.dispatch());
        let observer = Observer {
            completed: release,
            context: Shared::into_raw(this),
        };
        // SAFETY: the last handle is gone, so nothing calls the socket now or later, and it is closed once. The observer takes
        // the reference that was turned into its context, once.
        let started = unsafe {
            operation.start((), Some(observer), |irp, _, _| {
                Ok(table.basic().wsk_close_socket(socket, irp)?)
            })
        };
        // A close that cannot even be called leaves the socket, and the reference to it, for ever.
        if let Ok(flight) = started {
            flight.detach();
        }
    }
}

/// The observer of an operation that may outlive its handle: drops a reference that was turned into `context`.
///
/// # Safety
///
/// `context` came from `Shared::<Capture>::into_raw` and is used this once.
unsafe fn release_capture(context: NonNull<c_void>, _: NTSTATUS) {
    // SAFETY: the caller vouches for it.
    drop(unsafe { Shared::<Capture>::from_raw(context) });
}

/// The observer of a close: drops the reference that was turned into `context`. If WSK could not close the socket it may still
/// use it, and the reference stays.
///
/// # Safety
///
/// `context` came from `Shared::<Socket>::into_raw` and is used this once.
unsafe fn release(context: NonNull<c_void>, status: NTSTATUS) {
    if status.is_success() {
        // SAFETY: the caller vouches for it.
        drop(unsafe { Shared::<Socket>::from_raw(context) });
    }
}

/// The address in `arguments`, as WSK takes it.
#[inline]
pub(crate) fn address_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::SOCKADDR> {
    // SAFETY: a place inside the arguments, which are not read.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).address) }.cast()
}

/// The buffer in `arguments`.
#[inline]
pub(crate) fn buffer_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::WSK_BUF> {
    // SAFETY: as for `address_of`.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).buffer) }
}

/// The flags of a received datagram in `arguments`.
#[inline]
pub(crate) fn control_flags_of(arguments: NonNull<Arguments>) -> NonNull<u32> {
    // SAFETY: as for `address_of`.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control_flags) }
}

/// The first `length` bytes of control information in `arguments`, to be sent.
#[inline]
pub(crate) fn control_of(arguments: NonNull<Arguments>, length: usize) -> Option<NonNull<[u8]>> {
    if length == 0 {
        return None;
    }
    // SAFETY: as for `address_of`.
    let control = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control) };
    Some(NonNull::slice_from_raw_parts(control.cast(), length))
}

/// The room for control information in `arguments`, if it is wanted: its length, and its bytes.
#[inline]
pub(crate) fn room_of(
    arguments: NonNull<Arguments>,
    wanted: bool,
) -> (Option<NonNull<u32>>, Option<NonNull<CMSGHDR>>) {
    if !wanted {
        return (None, None);
    }
    // SAFETY: as for `address_of`.
    unsafe {
        let length = NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control_length);
        let control = NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control);
        (Some(length), Some(control.cast()))
    }
}

/// The request to enable or disable events in `arguments`.
pub(crate) fn events_of(arguments: NonNull<Arguments>) -> NonNull<[u8]> {
    // SAFETY: as for `address_of`.
    let events = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).events) };
    NonNull::slice_from_raw_parts(events.cast(), size_of::<WSK_EVENT_CALLBACK_CONTROL>())
}

/// The first `length` bytes of the value in `arguments`.
pub(crate) fn value_of(arguments: NonNull<Arguments>, length: usize) -> NonNull<[u8]> {
    // SAFETY: as for `address_of`.
    let value = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).value) };
    NonNull::slice_from_raw_parts(value.cast(), length)
}
