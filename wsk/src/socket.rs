//! What the handles of a socket share, whatever its category: the `WSK_SOCKET`, and the operations set aside for it.

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use core::time::Duration;

use wsk_sys::{
    CMSGHDR, DispatchError, IPPROTO, IRP, NPI_WSK_INTERFACE_ID, NTSTATUS, SO_WSK_EVENT_CALLBACK,
    SOCK_DGRAM, SOCKADDR, SOCKADDR_STORAGE, SOL_SOCKET, STATUS_CANCELLED,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL,
    WSK_EVENT_DISABLE, WSK_FLAG_DATAGRAM_SOCKET, WSK_SOCKET, WskProviderBasicDispatch,
    WskProviderDatagramDispatch,
};

use crate::address::{self, Family};
use crate::buffer::Held;
use crate::error::{Call, Error, Memory};
use crate::event_context::Events;
use crate::in_flight::{Carried, InFlight, NotStarted, Operation};
use crate::ioctl::{self, Bytes, ControlRequest, Input, Ioctl, Output};
use crate::irql::require_passive;
use crate::operation::{Arguments, Flight, Idle, Observer, Outcome, Payload, Spare};
use crate::option::{self, ReadableOption, SocketOption};
use crate::registration::{Capture, Provider};
use crate::shared::{Counted, Reserved, Shared};

/// A category of sockets: which table of functions they have, and what every category has in its own table.
pub trait Category: Sized + 'static {
    /// `SOCK_…`.
    const KIND: u16;
    /// `IPPROTO_…`.
    const PROTOCOL: u32;
    /// `WSK_FLAG_…_SOCKET`.
    const FLAG: u32;
    /// The provider's functions.
    type Dispatch: Copy;
    /// The table of the client's callbacks.
    type Callbacks: 'static;

    /// # Safety
    ///
    /// `table` is the table of a socket of this category, readable up to what a Windows of version `ntddi` has, as long as the
    /// result is used.
    unsafe fn dispatch(table: NonNull<c_void>, ntddi: u32) -> Self::Dispatch;

    /// The functions that every socket has.
    fn basic(dispatch: Self::Dispatch) -> WskProviderBasicDispatch;

    /// # Safety
    ///
    /// As `WskBind` asks.
    unsafe fn bind(
        dispatch: Self::Dispatch,
        socket: NonNull<WSK_SOCKET>,
        address: NonNull<SOCKADDR>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError>;

    /// # Safety
    ///
    /// As `WskGetLocalAddress` asks.
    unsafe fn local_address(
        dispatch: Self::Dispatch,
        socket: NonNull<WSK_SOCKET>,
        address: NonNull<SOCKADDR>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError>;
}

/// Implements [`Category`] with a provider's table that has all of it.
macro_rules! category {
    ($(#[$doc:meta])* $vis:vis $name:ident: $kind:expr, $protocol:expr, $flag:expr, $dispatch:ident, $callbacks:ident) => {
        $(#[$doc])*
        $vis struct $name;

        impl $crate::socket::Category for $name {
            const KIND: u16 = $kind;
            const PROTOCOL: u32 = $protocol.0.cast_unsigned();
            const FLAG: u32 = $flag;
            type Dispatch = $dispatch;
            type Callbacks = $callbacks;

            #[inline]
            unsafe fn dispatch(table: ::core::ptr::NonNull<::core::ffi::c_void>, ntddi: u32) -> $dispatch {
                // SAFETY: the caller gives a table of this category, readable up to what such a Windows has.
                unsafe { $dispatch::new(table.cast(), ntddi) }
            }

            #[inline]
            fn basic(dispatch: $dispatch) -> ::wsk_sys::WskProviderBasicDispatch {
                dispatch.basic()
            }

            unsafe fn bind(
                dispatch: $dispatch,
                socket: ::core::ptr::NonNull<::wsk_sys::WSK_SOCKET>,
                address: ::core::ptr::NonNull<::wsk_sys::SOCKADDR>,
                irp: ::core::ptr::NonNull<::wsk_sys::IRP>,
            ) -> Result<::wsk_sys::NTSTATUS, ::wsk_sys::DispatchError> {
                // SAFETY: the caller does what `WskBind` asks.
                unsafe { dispatch.wsk_bind(socket, address, irp) }
            }

            unsafe fn local_address(
                dispatch: $dispatch,
                socket: ::core::ptr::NonNull<::wsk_sys::WSK_SOCKET>,
                address: ::core::ptr::NonNull<::wsk_sys::SOCKADDR>,
                irp: ::core::ptr::NonNull<::wsk_sys::IRP>,
            ) -> Result<::wsk_sys::NTSTATUS, ::wsk_sys::DispatchError> {
                // SAFETY: the caller does what `WskGetLocalAddress` asks.
                unsafe { dispatch.wsk_get_local_address(socket, address, irp) }
            }
        }
    };
}

pub(crate) use category;

/// Writes the methods of a socket that is bound to an address, over its [`Handle`]. What is said in documentation comments goes
/// for binding it.
macro_rules! bound_by_address {
    ($(#[$binding:meta])* $Socket:ident) => {
        impl $Socket {
            /// Gives the socket a local address; port 0 lets WSK choose one. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            $(#[$binding])*
            ///
            /// [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::WrongFamily`], [`Error::NoMemory`], or what WSK says, such as
            /// `STATUS_SHARING_VIOLATION` or `STATUS_ADDRESS_ALREADY_EXISTS` for an address in use.
            #[doc(alias = "WskBind")]
            pub fn bind(&self, local: SocketAddr) -> Result<(), Error> {
                self.socket.bind(local)
            }

            /// The local address that the socket is bound to. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NotBound`], [`Error::NoMemory`], or what WSK says.
            #[doc(alias = "WskGetLocalAddress")]
            pub fn local_address(&self) -> Result<SocketAddr, Error> {
                self.socket.local_address()
            }
        }
    };
}

pub(crate) use bound_by_address;

/// Writes what every socket has: the methods over `WskControlSocket`, and `Debug`, over its [`Handle`].
macro_rules! controlled {
    ($Socket:ident) => {
        impl $Socket {
            /// Sets an option. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
            #[doc(alias = "WskControlSocket")]
            pub fn set_option<O: $crate::option::SocketOption>(
                &self,
                option: O,
            ) -> Result<(), Error> {
                self.socket.set_option(option)
            }

            /// Reads an option. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
            #[doc(alias = "WskControlSocket")]
            pub fn option<O: $crate::option::ReadableOption>(&self) -> Result<O, Error> {
                self.socket.option()
            }

            /// Carries out an I/O control operation. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::WrongFamily`], [`Error::NoMemory`], or what WSK says.
            #[doc(alias = "WskControlSocket")]
            pub fn ioctl<O: $crate::ioctl::Ioctl>(&self, request: O) -> Result<O::Output, Error> {
                self.socket.ioctl(request)
            }

            /// Sets or reads an option, or carries out an I/O control operation, that has no type here; the number of bytes of
            /// `output` that were written. IRQL: `PASSIVE_LEVEL`; waits.
            ///
            /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the call.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
            ///
            /// # Safety
            ///
            /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to; the
            ///   last stays valid until this returns, and for ever when it returns [`Error::Abandoned`] or WSK keeps such a pointer.
            /// * The input is what the request asks for. WSK is given an IRP, always.
            /// * The request changes nothing that this crate keeps account of: it enables or disables no event callback
            ///   (`SO_WSK_EVENT_CALLBACK`) and no conditional accept (`SO_CONDITIONAL_ACCEPT`), fixes no remote address or
            ///   destination (`SIO_WSK_SET_REMOTE_ADDRESS`, `SIO_WSK_SET_SENDTO_ADDRESS`), and registers no extension whose
            ///   callbacks would outlive the driver.
            #[doc(alias = "WskControlSocket")]
            pub unsafe fn control_raw(
                &self,
                request: $crate::ioctl::ControlRequest,
                input: &[u8],
                output: &mut [u8],
            ) -> Result<usize, Error> {
                // SAFETY: the caller keeps the same contract, which is that of the handle's method.
                unsafe { self.socket.control_raw(request, input, output) }
            }
        }

        impl ::core::fmt::Debug for $Socket {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($Socket))
                    .field("family", &self.socket.family)
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use controlled;

category! {
    /// Datagram sockets, for UDP.
    pub(crate) DatagramCategory: SOCK_DGRAM, IPPROTO::IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, WskProviderDatagramDispatch,
    WSK_CLIENT_DATAGRAM_DISPATCH
}

/// An open socket of the category `C`.
///
/// # Invariants
///
/// `socket` is open from when this is made, through `capture`, until `handles` is zero; then it is closed with the operation
/// in `closing`, once. Whoever calls the socket's functions has a handle.
pub(crate) struct Socket<C: Category = DatagramCategory> {
    pub(crate) socket: NonNull<WSK_SOCKET>,
    pub(crate) capture: ManuallyDrop<Shared<Capture>>,
    pub(crate) family: Family,
    pub(crate) handles: AtomicUsize,
    pub(crate) bound: AtomicBool,
    /// Whether the remote address or destination is fixed, or about to be.
    pub(crate) fixed: AtomicBool,
    /// Flags that go with every send.
    pub(crate) send_flags: AtomicU32,
    /// Closes the socket. Taken once.
    pub(crate) closing: Spare<()>,
    /// What WSK calls when something happens to the socket. Freed with the socket's memory, when the close has completed.
    pub(crate) events: Option<Events<C::Callbacks>>,
    /// The operation of the calls that wait, when none of them is using it.
    pub(crate) spare: Spare<()>,
}

// SAFETY: WSK's functions may be called on any thread; the pointer is only passed to them. Capture, events and operations may be
// sent.
unsafe impl<C: Category> Send for Socket<C> {}
// SAFETY: WSK's functions may be called at the same time; the pointer is only passed to them. What changes is atomic.
unsafe impl<C: Category> Sync for Socket<C> {}

impl<C: Category> Counted for Socket<C> {
    type Last = Shared<Capture>;

    unsafe fn last(&mut self) -> Shared<Capture> {
        // SAFETY: the caller does nothing but drop the value, whose field is not dropped with it.
        unsafe { ManuallyDrop::take(&mut self.capture) }
    }
}

impl<C: Category> Socket<C> {
    #[inline]
    pub(crate) fn dispatch(&self) -> C::Dispatch {
        // SAFETY: by the invariant the socket is open and of this category, whose table is as long as this Windows makes it,
        // and stays while the socket is open.
        unsafe {
            let table = (*self.socket.as_ptr()).Dispatch.cast_mut();
            C::dispatch(NonNull::new_unchecked(table.cast()), self.capture.ntddi())
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
    /// When the provider breaks its contract by returning an error without completing the IRP, what is `held` is kept if it can
    /// be, so is the capture, until the IRP is completed after all, and the error is [`Error::Abandoned`]; memory that cannot be
    /// kept is waited for as long as it takes.
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
        let cancel = |flight: &Flight<()>| flight.cancel();
        let cancelled: IsEnd = |status| status == STATUS_CANCELLED;
        // SAFETY: the caller keeps the same contract.
        unsafe {
            self.request_or(
                operation,
                call,
                held,
                limit.map(|limit| (limit, cancel, cancelled)),
                invoke,
                read,
            )
        }
    }

    /// As [`request`](Self::request); when the time runs out the request is brought to an end by the function beside the limit.
    /// The last function says which statuses come of that.
    ///
    /// # Safety
    ///
    /// As for [`request`](Self::request).
    #[inline]
    pub(crate) unsafe fn request_or<T, H: Held>(
        &self,
        operation: Idle<()>,
        call: Call,
        held: H,
        limit: Option<(Duration, impl FnOnce(&Flight<()>), IsEnd)>,
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
        let mut ended: Option<IsEnd> = None;
        if let Some((limit, end, is_end)) = limit
            && !flight.wait(Some(limit))
        {
            end(&flight);
            ended = Some(is_end);
        }
        if !flight.wait_or_give_up() {
            let status = flight.returned();
            if held.can_keep() {
                held.keep();
                // Whenever the IRP completes, if it does, the routine is run: the driver has to be there.
                flight.detach_observed(self.hold_capture());
                core::mem::forget(held);
                return Err(Error::Abandoned { call, status });
            }
            flight.wait(None);
        }
        // SAFETY: a wait said that it has completed.
        let (mut operation, (), outcome) = unsafe { flight.finish() };
        held.settle(outcome, operation.arguments());
        drop(held);
        let result = if ended.is_some_and(|is_end| is_end(outcome.status)) {
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
        hold(&self.capture)
    }

    /// Starts a request that carries `buffer`, in the operation that the buffer brings or in a new one, and holds the capture until it
    /// is over. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// `own` is what `operation` of the buffer has just given; for the rest as for [`Idle::start`].
    #[inline]
    pub(crate) unsafe fn start_carrying<B, O: Operation<Payload = Carried<B>>>(
        &self,
        buffer: B,
        own: Option<NonNull<()>>,
        invoke: impl FnOnce(
            NonNull<IRP>,
            NonNull<Arguments>,
            NonNull<Carried<B>>,
        ) -> Result<NTSTATUS, Error>,
    ) -> Result<InFlight<O>, NotStarted<B>> {
        // SAFETY: the caller vouches for the block, and the buffer is what is carried.
        let operation = match unsafe { Carried::operation(own) } {
            Ok(operation) => operation,
            Err(error) => return Err(NotStarted::new(error, buffer)),
        };
        let observer = Some(self.hold_capture());
        // SAFETY: the caller keeps the same contract.
        InFlight::new(unsafe { operation.start(Carried::new(buffer), observer, invoke) })
    }

    /// Closes the socket; its memory and the capture go when WSK has done so. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn close_without_waiting(this: Shared<Self>) {
        let Some(operation) = this.closing.take() else {
            return;
        };
        let (socket, table) = (this.socket, C::basic(this.dispatch()));
        let observer = Observer {
            completed: release::<C>,
            context: Shared::into_raw(this),
        };
        // SAFETY: the last handle is gone, so nothing calls the socket now or later, and it is closed once. The observer takes
        // the reference that was turned into its context, once.
        let started = unsafe {
            operation.start((), Some(observer), |irp, _, _| {
                Ok(table.wsk_close_socket(socket, irp)?)
            })
        };
        // A close that cannot even be called leaves the socket, and the reference to it, for ever.
        if let Ok(flight) = started {
            flight.detach();
        }
    }
}

/// An observer that holds on to a capture until the completion routine is done with everything else.
#[inline]
pub(crate) fn hold(capture: &Shared<Capture>) -> Observer {
    Observer {
        completed: release_capture,
        context: Shared::into_raw(Shared::clone(capture)),
    }
}

/// Whether a status says that a request was brought to an end.
pub(crate) type IsEnd = fn(NTSTATUS) -> bool;

/// The observer of an operation that may outlive its handle: drops a reference that was turned into `context`.
///
/// # Safety
///
/// `context` came from `Shared::<Capture>::into_raw` and is used this once.
unsafe fn release_capture(context: NonNull<c_void>, _: NTSTATUS) {
    // SAFETY: the caller gives the reference that `into_raw` made the context of, this once.
    drop(unsafe { Shared::<Capture>::from_raw(context) });
}

/// The observer of a close: drops the reference that was turned into `context`. If WSK could not close the socket it may still
/// use it, and the reference stays.
///
/// # Safety
///
/// `context` came from `Shared::<Socket<C>>::into_raw` and is used this once.
unsafe fn release<C: Category>(context: NonNull<c_void>, status: NTSTATUS) {
    if status.is_success() {
        // SAFETY: the caller gives the reference that `into_raw` made the context of, this once.
        drop(unsafe { Shared::<Socket<C>>::from_raw(context) });
    }
}

/// All that a socket needs besides what WSK gives, so that nothing can fail once WSK has made it.
pub(crate) struct Prepared<C: Category> {
    reserved: Reserved<Socket<C>>,
    pub(crate) capture: Shared<Capture>,
    family: Family,
    events: Option<Events<C::Callbacks>>,
    closing: Idle<()>,
    spare: Idle<()>,
}

impl<C: Category> Prepared<C> {
    /// Allocates it. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new(
        capture: &Shared<Capture>,
        family: Family,
        events: Option<Events<C::Callbacks>>,
    ) -> Result<Self, Error> {
        Ok(Self {
            reserved: Reserved::new().ok_or(Error::NoMemory(Memory::Socket))?,
            capture: capture.clone(),
            family,
            events,
            closing: Idle::new()?,
            spare: Idle::new()?,
        })
    }

    /// What WSK gets as the socket's context and callbacks.
    pub(crate) fn callbacks(&self) -> (Option<NonNull<c_void>>, Option<NonNull<C::Callbacks>>) {
        match &self.events {
            Some(events) => (Some(events.context()), Some(events.table())),
            None => (None, None),
        }
    }

    /// The first handle of the socket.
    ///
    /// # Safety
    ///
    /// `socket` is open, of this category, made through the capture with these callbacks, and nobody else's.
    pub(crate) unsafe fn fill(self, socket: NonNull<WSK_SOCKET>, bound: bool) -> Handle<C> {
        // INVARIANT: the socket is open and of this category, and this is its one handle.
        let shared = self.reserved.fill(Socket {
            socket,
            capture: ManuallyDrop::new(self.capture),
            family: self.family,
            handles: AtomicUsize::new(1),
            bound: AtomicBool::new(bound),
            fixed: AtomicBool::new(false),
            send_flags: AtomicU32::new(0),
            closing: Spare::new(Some(self.closing)),
            events: self.events,
            spare: Spare::new(Some(self.spare)),
        });
        if let Some(events) = &shared.events {
            // SAFETY: this is the socket that owns the events; its memory stays until its close has completed.
            unsafe { events.attach(Shared::as_raw(&shared)) };
        }
        Handle {
            shared: ManuallyDrop::new(shared),
        }
    }
}

/// The payload of a request that makes a socket. When nobody takes the socket, it is closed.
pub struct Awaited<C: Category> {
    prepared: Option<Prepared<C>>,
    socket: Option<NonNull<WSK_SOCKET>>,
    bound: bool,
    /// An address besides the one in the arguments.
    pub(crate) address: SOCKADDR_STORAGE,
}

// SAFETY: it has what a socket is made of, which may be sent, the socket itself, and memory that is its own.
unsafe impl<C: Category> Send for Awaited<C> {}

impl<C: Category> Awaited<C> {
    pub(crate) fn new(prepared: Prepared<C>, bound: bool) -> Self {
        Self {
            prepared: Some(prepared),
            socket: None,
            bound,
            address: SOCKADDR_STORAGE::default(),
        }
    }

    /// What WSK gets as the socket's context and callbacks.
    pub(crate) fn callbacks(&self) -> (Option<NonNull<c_void>>, Option<NonNull<C::Callbacks>>) {
        let prepared = self.prepared.as_ref();
        prepared.map_or((None, None), Prepared::callbacks)
    }

    /// The socket, once the request has completed with success.
    pub(crate) fn take(&mut self) -> Option<Handle<C>> {
        let (prepared, socket) = (self.prepared.take()?, self.socket.take()?);
        // SAFETY: WSK has made the socket for the request that this was the payload of.
        Some(unsafe { prepared.fill(socket, self.bound) })
    }
}

impl<C: Category> Payload for Awaited<C> {
    unsafe fn settle(this: NonNull<Self>, outcome: Option<Outcome>, _: &Arguments) {
        if let Some(outcome) = outcome.filter(|outcome| outcome.status.is_success()) {
            let socket = core::ptr::with_exposed_provenance_mut(outcome.information);
            // SAFETY: the caller gives the payload, which nothing else uses.
            unsafe { (*this.as_ptr()).socket = NonNull::new(socket) };
        }
    }
}

impl<C: Category> Drop for Awaited<C> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Starts to make a socket. IRQL: `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// As for [`make`].
pub(crate) unsafe fn start_making<C: Category>(
    operation: Idle<Awaited<C>>,
    awaited: Awaited<C>,
    invoke: impl FnOnce(
        NonNull<IRP>,
        NonNull<Arguments>,
        NonNull<Awaited<C>>,
    ) -> Result<NTSTATUS, Error>,
) -> Result<Flight<Awaited<C>>, Error> {
    let Some(prepared) = &awaited.prepared else {
        return Err(Error::Taken);
    };
    let observer = hold(&prepared.capture);
    // SAFETY: the caller vouches for the call. The payload keeps the context and the callbacks, and closes a socket that nobody
    // takes.
    let started = unsafe { operation.start(awaited, Some(observer), invoke) };
    started.map_err(|refused| refused.error)
}

/// Makes a socket: has `invoke` pass on a request that ends in one, and waits for it, or until it has been cancelled because
/// `limit` ran out. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
///
/// `invoke` passes the IRP on as [`Idle::start`] asks. The request ends in a socket of this category, made with the callbacks
/// of `awaited`.
pub(crate) unsafe fn make<C: Category>(
    operation: Idle<Awaited<C>>,
    awaited: Awaited<C>,
    call: Call,
    limit: Option<Duration>,
    invoke: impl FnOnce(
        NonNull<IRP>,
        NonNull<Arguments>,
        NonNull<Awaited<C>>,
    ) -> Result<NTSTATUS, Error>,
) -> Result<(Idle<Awaited<C>>, Handle<C>), Error> {
    // SAFETY: the caller keeps the same contract.
    let flight = unsafe { start_making(operation, awaited, invoke) }?;
    let timed_out = limit.is_some_and(|limit| !flight.wait(Some(limit)));
    if timed_out {
        flight.cancel();
    }
    if !flight.wait_or_give_up() {
        let status = flight.returned();
        flight.detach();
        return Err(Error::Abandoned { call, status });
    }
    // SAFETY: the wait said that it has completed.
    let (operation, mut awaited, outcome) = unsafe { flight.finish() };
    if timed_out && outcome.status == STATUS_CANCELLED {
        return Err(Error::TimedOut { call });
    }
    outcome.check(call)?;
    let nothing = Error::Call {
        call,
        status: outcome.status,
    };
    Ok((operation, awaited.take().ok_or(nothing)?))
}

/// One of the handles of an open socket, which closes when the last is dropped.
///
/// # Invariants
///
/// It accounts for one of the socket's `handles`.
pub(crate) struct Handle<C: Category = DatagramCategory> {
    shared: ManuallyDrop<Shared<Socket<C>>>,
}

impl<C: Category> Handle<C> {
    /// Opens a socket. IRQL: `PASSIVE_LEVEL`; waits.
    pub(crate) fn open(
        provider: &Provider,
        family: Family,
        events: Option<Events<C::Callbacks>>,
    ) -> Result<Self, Error> {
        require_passive()?;
        let capture = provider.capture();
        let (client, table) = (capture.client()?, capture.dispatch()?);
        let prepared = Prepared::<C>::new(capture, family, events)?;
        let (context, callbacks) = prepared.callbacks();
        let awaited = Awaited::new(prepared, false);
        // SAFETY: the client and table are the captured provider's, and the request ends in a socket of this category.
        let (_, socket) = unsafe {
            make(Idle::new()?, awaited, Call::WskSocket, None, |irp, _, _| {
                Ok(table.wsk_socket(
                    client,
                    family.number(),
                    C::KIND,
                    C::PROTOCOL,
                    C::FLAG,
                    context,
                    callbacks.map(NonNull::cast),
                    None,
                    None,
                    None,
                    irp,
                )?)
            })
        }?;
        if family == Family::Dual {
            socket.set_option(option::V6Only(false))?;
        }
        Ok(socket)
    }

    /// Another handle of a socket that is still open.
    pub(crate) fn from_open(socket: &Shared<Socket<C>>) -> Option<Self> {
        let more = |handles: usize| (handles > 0).then(|| handles + 1);
        socket
            .handles
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Self {
            shared: ManuallyDrop::new(socket.clone()),
        })
    }

    /// Closes the socket and waits until WSK is done with it. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn close(self) -> Result<(), Error> {
        require_passive()?;
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the reference is taken out once.
        let socket = unsafe { ManuallyDrop::take(&mut this.shared) };
        if socket.handles.fetch_sub(1, Ordering::Release) != 1 {
            return Err(Error::InUse);
        }
        fence(Ordering::Acquire);
        let Some(operation) = socket.closing.take() else {
            return Ok(());
        };
        let (handle, table) = (socket.socket, C::basic(socket.dispatch()));
        // SAFETY: that was the last handle, so nothing calls the socket now or later, and it is closed once.
        let closed = unsafe {
            socket.request(
                operation,
                Call::WskCloseSocket,
                (),
                None,
                |irp, _| Ok(table.wsk_close_socket(handle, irp)?),
                |outcome, _| outcome.check(Call::WskCloseSocket),
            )
        };
        if closed.is_err() {
            // WSK may still use the socket's memory, for events: it stays for ever.
            core::mem::forget(socket);
        }
        closed
    }

    pub(crate) fn bind(&self, local: SocketAddr) -> Result<(), Error> {
        require_passive()?;
        self.family.check(&local)?;
        let mut operation = self.operation()?;
        self.family.write(local, &mut operation.arguments().address);
        let (socket, table) = (self.socket, self.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is in the arguments.
        unsafe {
            self.request(
                operation,
                Call::WskBind,
                (),
                None,
                |irp, arguments| Ok(C::bind(table, socket, address_of(arguments), irp)?),
                |outcome, _| outcome.check(Call::WskBind),
            )
        }?;
        self.bound.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr, Error> {
        require_passive()?;
        self.require_bound()?;
        let mut operation = self.operation()?;
        operation.arguments().address.ss_family = 0;
        let (socket, table) = (self.socket, self.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is written into the arguments.
        unsafe {
            self.request(
                operation,
                Call::WskGetLocalAddress,
                (),
                None,
                |irp, arguments| {
                    let address = address_of(arguments);
                    Ok(C::local_address(table, socket, address, irp)?)
                },
                |outcome, arguments| {
                    outcome.check(Call::WskGetLocalAddress)?;
                    address::read(&arguments.address)
                },
            )
        }
    }

    /// Has WSK call back for the events in `mask`. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn enable_events(&self, mask: u32) -> Result<(), Error> {
        if self.events.is_none() {
            return Err(Error::NoEvents);
        }
        self.require_bound()?;
        let mut control = WSK_EVENT_CALLBACK_CONTROL {
            NpiId: &raw const NPI_WSK_INTERFACE_ID,
            EventMask: mask,
        };
        let bytes = NonNull::from(&mut control).cast::<u8>();
        let bytes = NonNull::slice_from_raw_parts(bytes, size_of::<WSK_EVENT_CALLBACK_CONTROL>());
        let (socket, basic) = (self.socket, C::basic(self.dispatch()));
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        let code = SO_WSK_EVENT_CALLBACK;
        // SAFETY: the socket is open while this handle is. Enabling takes no IRP, so the structure is used during the call only;
        // the socket's context and table of events live until its close has completed.
        let status = unsafe {
            basic.wsk_control_socket(socket, set, code, SOL_SOCKET, Some(bytes), None, None, None)
        }?;
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::Call {
                call: Call::WskControlSocket,
                status,
            })
        }
    }

    /// Has WSK no longer call back for the one event in `mask`; waits until calls that are under way have returned. IRQL:
    /// `PASSIVE_LEVEL`.
    pub(crate) fn disable_events(&self, mask: u32) -> Result<(), Error> {
        require_passive()?;
        if self.events.is_none() {
            return Err(Error::NoEvents);
        }
        self.require_bound()?;
        let mut operation = self.operation()?;
        operation.arguments().events = WSK_EVENT_CALLBACK_CONTROL {
            NpiId: &raw const NPI_WSK_INTERFACE_ID,
            EventMask: mask | WSK_EVENT_DISABLE,
        };
        let (socket, basic) = (self.socket, C::basic(self.dispatch()));
        // SAFETY: the socket is open while this handle is. The structure is in the arguments, and points at a static.
        unsafe {
            self.request(
                operation,
                Call::WskControlSocket,
                (),
                None,
                |irp, arguments| {
                    let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
                    let control = Some(events_of(arguments));
                    let code = SO_WSK_EVENT_CALLBACK;
                    let irp = Some(irp);
                    Ok(basic.wsk_control_socket(
                        socket, set, code, SOL_SOCKET, control, None, None, irp,
                    )?)
                },
                |outcome, _| outcome.check(Call::WskControlSocket),
            )
        }
    }

    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn set_option<O: SocketOption>(&self, option: O) -> Result<(), Error> {
        let mut value = [0; option::LARGEST];
        let length = option.write(&mut value);
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        self.control(set, O::NAME, O::LEVEL, &value, length, 0)
            .map(|_| ())
    }

    pub(crate) fn option<O: ReadableOption>(&self) -> Result<O, Error> {
        let get = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
        let value = [0; option::LARGEST];
        let value = self.control(get, O::NAME, O::LEVEL, &value, 0, O::SIZE)?;
        Ok(O::read(&value))
    }

    /// Carries out an I/O control operation. IRQL: `PASSIVE_LEVEL`; waits.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn ioctl<O: Ioctl>(&self, request: O) -> Result<O::Output, Error> {
        require_passive()?;
        let mut operation = self.operation()?;
        let arguments = operation.arguments();
        let (bytes, address) = match request.input() {
            Input::Bytes(value, length) => {
                arguments.set_value(&value);
                (length.min(value.len()), 0)
            }
            Input::Address(address) => {
                let size = ioctl::address_input(self.family, address, &mut arguments.address)?;
                (0, size)
            }
        };
        let (socket, basic) = (self.socket, C::basic(self.dispatch()));
        let kind = WSK_CONTROL_SOCKET_TYPE::WskIoctl;
        // SAFETY: the socket is open while this handle is. Values and addresses are in the arguments, for input and output. The
        // operations of `ioctl` take and give plain values of these sizes, or addresses of the socket's family.
        unsafe {
            self.request(
                operation,
                Call::WskControlSocket,
                (),
                None,
                |irp, arguments| {
                    let (input, output) = if address > 0 {
                        let input =
                            NonNull::slice_from_raw_parts(address_of(arguments).cast(), address);
                        (Some(input), control_of(arguments, address))
                    } else {
                        (
                            (bytes > 0).then(|| value_of(arguments, bytes)),
                            (O::GIVES > 0).then(|| value_of(arguments, O::GIVES)),
                        )
                    };
                    Ok(basic.wsk_control_socket(
                        socket,
                        kind,
                        O::CODE,
                        0,
                        input,
                        output,
                        None,
                        Some(irp),
                    )?)
                },
                |outcome, arguments| {
                    outcome.check(Call::WskControlSocket)?;
                    let mut storage = SOCKADDR_STORAGE::default();
                    // SAFETY: what may have been written is initialised, and both are larger than any address.
                    let from = (&raw const arguments.control).cast::<u8>();
                    (&raw mut storage)
                        .cast::<u8>()
                        .copy_from_nonoverlapping(from, address);
                    O::output(&Output {
                        value: arguments.value(),
                        address: &storage,
                    })
                },
            )
        }
    }

    /// Calls `WskControlSocket` with any code; how many bytes it gave. IRQL: `PASSIVE_LEVEL`; waits. Allocates what is passed.
    ///
    /// # Safety
    ///
    /// As for [`DatagramSocket::control_raw`](crate::DatagramSocket::control_raw).
    pub(crate) unsafe fn control_raw(
        &self,
        request: ControlRequest,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, Error> {
        require_passive()?;
        let room = output.len();
        // SAFETY: the output is borrowed until this function returns, and what is made here goes before, or is forgotten and not
        // used again.
        let bytes = unsafe { Bytes::new(input, NonNull::from(output)) }
            .ok_or(Error::NoMemory(Memory::Buffer))?;
        let operation = self.operation()?;
        let (socket, basic) = (self.socket, C::basic(self.dispatch()));
        let ((kind, code, level), input, output) = (request.parts(), bytes.input(), bytes.output());
        // SAFETY: the socket is open while this handle is, input and output are in a block of their own that is held, and the
        // caller vouches for the code.
        unsafe {
            self.request(
                operation,
                Call::WskControlSocket,
                bytes,
                None,
                |irp, _| {
                    Ok(basic.wsk_control_socket(
                        socket,
                        kind,
                        code,
                        level,
                        input,
                        output,
                        None,
                        Some(irp),
                    )?)
                },
                |outcome, _| {
                    outcome.check(Call::WskControlSocket)?;
                    Ok(outcome.information.min(room))
                },
            )
        }
    }

    /// Calls `WskControlSocket` with a value that is copied in, out, or both.
    fn control(
        &self,
        request: WSK_CONTROL_SOCKET_TYPE,
        code: u32,
        level: u32,
        value: &[u8; option::LARGEST],
        input: usize,
        output: usize,
    ) -> Result<[u8; option::LARGEST], Error> {
        require_passive()?;
        let mut operation = self.operation()?;
        operation.arguments().set_value(value);
        let (socket, basic) = (self.socket, C::basic(self.dispatch()));
        // SAFETY: the socket is open while this handle is, and the value is in the arguments, for input and output. The codes that
        // callers pass take and give plain values of these sizes, no pointers.
        unsafe {
            self.request(
                operation,
                Call::WskControlSocket,
                (),
                None,
                |irp, arguments| {
                    let input = (input > 0).then(|| value_of(arguments, input));
                    let output = (output > 0).then(|| value_of(arguments, output));
                    Ok(basic.wsk_control_socket(
                        socket,
                        request,
                        code,
                        level,
                        input,
                        output,
                        None,
                        Some(irp),
                    )?)
                },
                |outcome, arguments| {
                    outcome.check(Call::WskControlSocket)?;
                    Ok(arguments.value())
                },
            )
        }
    }
}

impl<C: Category> Deref for Handle<C> {
    type Target = Socket<C>;

    #[inline]
    fn deref(&self) -> &Socket<C> {
        &self.shared
    }
}

impl<C: Category> Clone for Handle<C> {
    fn clone(&self) -> Self {
        self.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C: Category> Drop for Handle<C> {
    fn drop(&mut self) {
        // SAFETY: the reference is taken out once, here.
        let socket = unsafe { ManuallyDrop::take(&mut self.shared) };
        if socket.handles.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            Socket::close_without_waiting(socket);
        }
    }
}

/// The address in `arguments`, as WSK takes it.
///
/// # Safety
///
/// The arguments are there.
#[inline]
pub(crate) unsafe fn address_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::SOCKADDR> {
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).address) }.cast()
}

/// The buffer in `arguments`.
///
/// # Safety
///
/// The arguments are there.
#[inline]
pub(crate) unsafe fn buffer_of(arguments: NonNull<Arguments>) -> NonNull<wsk_sys::WSK_BUF> {
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).buffer) }
}

/// The flags of a received datagram in `arguments`.
///
/// # Safety
///
/// The arguments are there.
#[inline]
pub(crate) unsafe fn control_flags_of(arguments: NonNull<Arguments>) -> NonNull<u32> {
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control_flags) }
}

/// The first `length` bytes of control information in `arguments`, to be sent.
///
/// # Safety
///
/// The arguments are there.
#[inline]
pub(crate) unsafe fn control_of(
    arguments: NonNull<Arguments>,
    length: usize,
) -> Option<NonNull<[u8]>> {
    if length == 0 {
        return None;
    }
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    let control = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control) };
    Some(NonNull::slice_from_raw_parts(control.cast(), length))
}

/// The room for control information in `arguments`, if it is wanted: its length, and its bytes.
///
/// # Safety
///
/// The arguments are there.
#[inline]
pub(crate) unsafe fn room_of(
    arguments: NonNull<Arguments>,
    wanted: bool,
) -> (Option<NonNull<u32>>, Option<NonNull<CMSGHDR>>) {
    if !wanted {
        return (None, None);
    }
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    unsafe {
        let length = NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control_length);
        let control = NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).control);
        (Some(length), Some(control.cast()))
    }
}

/// The request to enable or disable events in `arguments`.
///
/// # Safety
///
/// The arguments are there.
pub(crate) unsafe fn events_of(arguments: NonNull<Arguments>) -> NonNull<[u8]> {
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    let events = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).events) };
    NonNull::slice_from_raw_parts(events.cast(), size_of::<WSK_EVENT_CALLBACK_CONTROL>())
}

/// The first `length` bytes of the value in `arguments`.
///
/// # Safety
///
/// The arguments are there.
pub(crate) unsafe fn value_of(arguments: NonNull<Arguments>, length: usize) -> NonNull<[u8]> {
    // SAFETY: the caller gives the arguments; of them only the address of a member is taken, which is not null.
    let value = unsafe { NonNull::new_unchecked(&raw mut (*arguments.as_ptr()).value) };
    NonNull::slice_from_raw_parts(value.cast(), length)
}
