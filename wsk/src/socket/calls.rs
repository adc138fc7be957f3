//! The calls of WSK's functions for sockets and for operations with an IRP. Safe functions make the parameters for one operation, from what
//! the operation carries and from its arguments. So requests are safe code.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::{
    ADDRINFOEXW, CMSGHDR, DispatchError, IRP, NTSTATUS, SIO_WSK_REGISTER_EXTENSION,
    SIO_WSK_SET_RECEIVE_EX_CALLBACK, SO_WSK_EVENT_CALLBACK, SO_WSK_SECURITY, SOCKADDR, SOL_SOCKET,
    STATUS_CANCELLED, UNICODE_STRING, WSK_BUF, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_DISABLE, WSK_EXTENSION_CONTROL_IN,
    WSK_EXTENSION_CONTROL_OUT, WSK_FLAG_DRAIN, WSK_FLAG_WAITALL, WSK_INSPECT_ACTION,
    WSK_INSPECT_ID, WSK_SOCKET, WSK_TRANSPORT_LIST_CHANGE, WskProviderBasicDispatch,
    WskProviderConnectionDispatch, WskProviderDatagramDispatch, WskProviderDispatch,
    WskProviderListenDispatch, WskProviderStreamDispatch,
};

use crate::address::{self, Destination};
use crate::buffer::carry::{Beside, Ingredient, Loan, Room, Sent, SentList};
use crate::buffer::{Described, LockedList};
use crate::error::{Call, Error};
use crate::irp::{
    Arguments, Brand, Flight, Idle, Outcome, Places, SHARED_ROOM, Spares, event_control,
};
use crate::memory::Shared;
use crate::memory::atomic::Ordering;
use crate::memory::unicode::UnicodeString;
use crate::registration::{
    AddressList, Capture, ClientCode, DescriptorRoom, Provider, SecurityDescriptor, bytes, hold,
};
use crate::socket::inspection::{InspectId, Pended};
use crate::socket::ioctl::{ControlRequest, Copies, Extension, ExtensionProvider, Input, Ioctl};
use crate::socket::open::Fresh;
use crate::socket::option::{self, ReadableOption, SocketOption};
use crate::socket::{
    CallHandle, Category, Committed, ConnectionCategory, ConnectionSocket, DatagramCategory,
    Handle, ListenCategory, Making, NearHandle, Socket, StreamCategory,
};

/// The parameters of a function of WSK, for an operation that carries `B`.
///
/// # Safety
///
/// `submit` makes one call with the IRP, or fails and makes none. The parameters point to the arguments of an operation, to memory that is
/// lent to it, or to memory that the target keeps. [`POINTS_INTO_CARRIED`](Self::POINTS_INTO_CARRIED) is true if its documentation applies.
pub unsafe trait CallParameters<B>: Copy {
    /// Whether it may [go on](Self::goes_on).
    #[doc(hidden)]
    const GOES_ON: bool = false;

    /// Whether the parameters point into the carried value itself, not only to memory that the value owns. A wait
    /// [in place](crate::request::InPlace) has the value on the stack, where it does not stay if the provider keeps the IRP. So such a
    /// request is never waited for in place.
    #[doc(hidden)]
    const POINTS_INTO_CARRIED: bool = false;

    /// Calls WSK.
    ///
    /// # Safety
    ///
    /// The IRP is that of the operation to which the parameters were [bound](Bound). Everything that was lent to it then still is. The target
    /// is open.
    #[doc(hidden)]
    unsafe fn submit(&self, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError>;

    /// Stores the socket that WSK has made in the carried value.
    ///
    /// # Safety
    ///
    /// An operation has completed with this outcome. Such parameters were bound to it, and it carries `carried`.
    #[doc(hidden)]
    #[inline]
    unsafe fn made(outcome: Outcome, carried: &mut B) {
        let _ = (outcome, carried);
    }

    /// The call with which an operation goes on that is not finished yet; or the status with which it ends, because it cannot go on.
    ///
    /// # Safety
    ///
    /// As for [`made`](Self::made). Everything that was lent still is, and `'x` stands for the operation.
    #[doc(hidden)]
    #[inline]
    unsafe fn goes_on(
        outcome: Outcome,
        arguments: &mut Arguments,
        places: Places<'_>,
        carried: NonNull<B>,
    ) -> Option<Result<More, NTSTATUS>> {
        let _ = (outcome, arguments, places, carried);
        None
    }

    /// Changes the parameters for a wait that may end before the request has completed.
    #[doc(hidden)]
    #[inline]
    fn may_end_early(&mut self) {}
}

/// Parameters that can be used for several runs of their operation.
///
/// # Safety
///
/// The parameters stay valid as long as the same memory is lent to the operation.
pub unsafe trait Repeatable {}

/// Parameters that do not depend on what is lent to the operation.
///
/// # Safety
///
/// The parameters point to nothing but the arguments.
pub unsafe trait Constant: Repeatable {}

/// The parameters of a call for the operation `'x`.
///
/// # Invariants
///
/// The memory that the parameters point to is valid for the function. It is in the operation's arguments, or lent to the operation, or
/// stays as long as the target, which is borrowed for `'x` and open. Places and arguments are of the same operation:
/// [`put`](crate::request::Function::put) gets both, and passes both on.
#[derive(Debug)]
pub struct Bound<'x, P> {
    call: P,
    _operation: Brand<'x>,
}

impl<P> Bound<'_, P> {
    // INVARIANT: callers, which are in this file, say so.
    #[inline]
    const fn new(call: P) -> Self {
        Self {
            call,
            _operation: Brand::NEW,
        }
    }

    /// The parameters, for the owner of the operation.
    #[inline]
    pub(crate) fn into_call(self) -> P {
        self.call
    }

    /// Parameters that were bound to the operation `'x` earlier.
    ///
    /// # Safety
    ///
    /// The operation is at rest. Everything that was lent to it then is lent still.
    pub(crate) const unsafe fn again(call: P) -> Self {
        // INVARIANT: by the contract of this function.
        Self::new(call)
    }
}

/// The parameters after something else was lent to the operation `'x`.
#[derive(Debug)]
pub struct Renewed<'x, P>(Option<Bound<'x, P>>);

impl<P: Constant> Renewed<'_, P> {
    /// The same parameters as before.
    pub(crate) const fn same() -> Self {
        Self(None)
    }
}

impl<'x, P> From<Bound<'x, P>> for Renewed<'x, P> {
    fn from(bound: Bound<'x, P>) -> Self {
        Self(Some(bound))
    }
}

impl<P> Renewed<'_, P> {
    /// The new parameters, for the owner of the operation; `None` if they are the same as before.
    pub(crate) fn into_call(self) -> Option<P> {
        self.0.map(Bound::into_call)
    }
}

/// The target of operations: a socket, or the provider.
///
/// # Safety
///
/// The capture is that of the target. If the carried value keeps the target, `During` keeps it too.
pub unsafe trait Asked<B>: 'static {
    /// The target of a request.
    #[doc(hidden)]
    type Target<'s>: Copy;

    /// A handle of the carried socket, to be kept until the call has returned. The completion may come before, and then the socket may be
    /// dropped. But a socket must not be closed while one of its functions runs.
    #[doc(hidden)]
    type During;

    /// The capture that keeps the driver from being unloaded.
    #[doc(hidden)]
    fn capture<'a, 't: 'a>(target: Self::Target<'t>, carried: &'a B) -> &'a Shared<Capture>;

    #[doc(hidden)]
    fn during_call(carried: &B) -> Self::During;

    /// A copy of the target on the stack of the request's maker, so that the compiler reads the target once.
    #[doc(hidden)]
    type Near<'s>: Clone;

    #[doc(hidden)]
    fn near(target: Self::Target<'_>) -> Self::Near<'_>;

    #[doc(hidden)]
    fn far<'n>(near: &'n Self::Near<'_>) -> Self::Target<'n>;

    /// The operations that are set aside for requests that are waited for, if there are any.
    #[doc(hidden)]
    #[inline]
    fn spares(target: Self::Target<'_>) -> Option<&Spares<2>> {
        let _ = target;
        None
    }
}

/// The target of operations that can be run again and again.
///
/// # Safety
///
/// `Keeper` keeps the target, and `target` always returns the same one.
pub unsafe trait AskedAgain<B>: Asked<B> {
    /// The value that keeps the target.
    #[doc(hidden)]
    type Keeper: Send + Sync + 'static;

    #[doc(hidden)]
    fn keep(target: Self::Target<'_>) -> Self::Keeper;

    #[doc(hidden)]
    fn target(keeper: &Self::Keeper) -> Self::Target<'_>;

    /// The capture that keeps the driver.
    #[doc(hidden)]
    fn captured(keeper: &Self::Keeper) -> &Shared<Capture>;
}

/// The target is a socket of the category `C`.
#[derive(Debug)]
pub struct OfSocket<C>(PhantomData<C>);

// SAFETY: the capture is the socket's, which is the target.
unsafe impl<C: Category, B> Asked<B> for OfSocket<C> {
    type Target<'s> = &'s Handle<C>;
    type During = ();

    fn capture<'a, 't: 'a>(socket: &'t Handle<C>, _: &'a B) -> &'a Shared<Capture> {
        socket.capture()
    }

    #[inline]
    fn during_call(_: &B) {}

    type Near<'s> = NearHandle<'s, C>;

    #[inline]
    fn near(socket: Self::Target<'_>) -> NearHandle<'_, C> {
        NearHandle::of(socket)
    }

    #[inline]
    fn far<'n>(near: &'n Self::Near<'_>) -> Self::Target<'n> {
        near
    }

    #[inline]
    fn spares(socket: Self::Target<'_>) -> Option<&Spares<2>> {
        Some((**socket).spares())
    }
}

// SAFETY: it is another handle of the same socket.
unsafe impl<C: Committed, B> AskedAgain<B> for OfSocket<C> {
    type Keeper = Handle<C>;

    fn keep(socket: &Handle<C>) -> Handle<C> {
        socket.clone()
    }

    fn target(socket: &Handle<C>) -> &Handle<C> {
        socket
    }

    fn captured(socket: &Handle<C>) -> &Shared<Capture> {
        socket.capture()
    }
}

/// The target is the provider.
#[derive(Debug)]
pub struct OfProvider;

// SAFETY: the capture is that of the provider, which is the target.
unsafe impl<B> Asked<B> for OfProvider {
    type Target<'s> = &'s Provider;
    type During = ();

    fn capture<'a, 't: 'a>(provider: &'t Provider, _: &'a B) -> &'a Shared<Capture> {
        provider.capture()
    }

    #[inline]
    fn during_call(_: &B) {}

    type Near<'s> = &'s Provider;

    fn near(provider: Self::Target<'_>) -> &Provider {
        provider
    }

    fn far<'n>(near: &'n Self::Near<'_>) -> Self::Target<'n> {
        near
    }
}

// SAFETY: it is another handle of the same capture.
unsafe impl<B> AskedAgain<B> for OfProvider {
    type Keeper = Provider;

    fn keep(provider: &Provider) -> Provider {
        provider.clone()
    }

    fn target(provider: &Provider) -> &Provider {
        provider
    }

    fn captured(provider: &Provider) -> &Shared<Capture> {
        provider.capture()
    }
}

/// The target is the carried value, or a part of it.
#[derive(Debug)]
pub struct OfCarried;

/// Implements [`Asked`] for a carried value: with its capture, and the handle that keeps its socket open.
macro_rules! asked_where_carried {
    ([$($generics:tt)*] $B:ty: $carried:ident => $captured:expr, $During:ty, $during:expr) => {
        // SAFETY: the capture is that of what is carried. A socket in it is kept open during the call.
        unsafe impl<$($generics)*> Asked<$B> for OfCarried {
            type Target<'s> = ();
            type During = $During;

            fn capture<'a, 't: 'a>((): (), $carried: &'a $B) -> &'a Shared<Capture> {
                $captured.capture()
            }

            fn during_call($carried: &$B) -> $During {
                $during
            }

            type Near<'s> = ();

            fn near((): Self::Target<'_>) -> Self::Near<'_> {}

            fn far((): &()) -> Self::Target<'_> {}
        }
    };
}

// There is no socket yet.
asked_where_carried!([C: Category] Making<C>: making => making, (), {
    let _ = making;
});
asked_where_carried!([] ConnectionSocket: socket => socket.handle, Handle<ConnectionCategory>, {
    socket.handle.clone()
});
asked_where_carried!(
    [B] Beside<ConnectionSocket, B>: carried => carried.ingredient.handle, Handle<ConnectionCategory>, {
        carried.ingredient.handle.clone()
    }
);
asked_where_carried!([] Pended: pended => pended, Option<Handle<ListenCategory>>, {
    pended.kept_open().cloned()
});

/// Starts a request without a buffer, on an operation of its own. It keeps the capture until the completion routine is done. IRQL: `<=
/// DISPATCH_LEVEL`.
///
/// # Errors
///
/// The error of the call, if nothing was started.
pub(crate) fn launch<C: Category, P: CallParameters<()>>(
    operation: Idle<()>,
    socket: &Handle<C>,
    put: impl for<'x> FnOnce(&'x Handle<C>, &mut Arguments, Places<'x>) -> Bound<'x, P>,
) -> Result<Flight<()>, Error> {
    let mut operation = operation;
    // SAFETY: `'x` is any lifetime for whoever puts it together, and so this operation's alone. What the parameters point at is in its
    // arguments, as nothing is lent; the socket is open, as there is a handle.
    let launched = unsafe {
        let places = operation.places();
        let call = put(socket, operation.arguments(), places).into_call();
        operation.launch(Some(hold(socket.capture())), |irp| call.submit(irp))
    };
    launched.map_err(|refused| refused.error)
}

/// Implements [`CallParameters`] by one call, with the parameters and the IRP.
macro_rules! calls {
    (
        $(#[$why:meta])*
        [$($generics:tt)*] $Call:ty, $B:ty: $p:ident, $irp:ident => $call:expr
        $(; $($rest:item)*)?
    ) => {
        // SAFETY: one call is made, or none.
        unsafe impl<$($generics)*> CallParameters<$B> for $Call {
            #[inline]
            unsafe fn submit(&self, $irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
                let $p = self;
                // SAFETY: as the caller says the IRP is that of the operation that the parameters were bound to: by the invariant of `Bound`
                // what they point at is as the function asks, and the target, which has the table, is open.
                unsafe { $call }
            }

            $($($rest)*)?
        }
    };
}

/// Implements [`CallParameters`] for the parameters of a function that makes a socket.
macro_rules! makes {
    ([$($generics:tt)*] $Call:ty, $C:ty: $p:ident, $irp:ident => $call:expr) => {
        calls!([$($generics)*] $Call, Making<$C>: $p, $irp => $call;
            // The local address.
            const POINTS_INTO_CARRIED: bool = true;

            #[inline]
            unsafe fn made(outcome: Outcome, making: &mut Making<$C>) {
                let socket = core::ptr::with_exposed_provenance_mut(outcome.information);
                if outcome.status.is_success()
                    && let Some(socket) = NonNull::new(socket)
                {
                    // SAFETY: WSK has made the socket for this request, with the capture and the callbacks of the carried value, to which
                    // the parameters were bound.
                    making.made(unsafe { Fresh::new(socket) });
                }
            }
        );
    };
}

/// Implements `Send` and `Sync` for parameters with pointers.
macro_rules! shared_by_threads {
    ($($Call:ty),*) => {$(
        // SAFETY: parameters are numbers and addresses, which are used by the call alone.
        unsafe impl Send for $Call {}
        // SAFETY: as above.
        unsafe impl Sync for $Call {}
    )*};
}

shared_by_threads!(
    SendCall,
    SendMessagesCall,
    SendToCall,
    ReceiveFromCall,
    ReceiveCall
);

/// The parameters of `WskAccept`.
#[derive(Clone, Copy)]
pub struct AcceptCall {
    table: WskProviderListenDispatch,
    socket: NonNull<WSK_SOCKET>,
    remote: NonNull<SOCKADDR>,
    context: Option<NonNull<c_void>>,
    callbacks: Option<NonNull<WSK_CLIENT_CONNECTION_DISPATCH>>,
}

impl AcceptCall {
    pub(crate) fn new<'x>(
        listener: &'x Handle<ListenCategory>,
        making: Loan<'x, Making<ConnectionCategory>>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        let (context, callbacks) = making.callbacks();
        // INVARIANT: context and callbacks stay until the socket is closed: whoever takes it has them.
        Bound::new(Self {
            table: listener.dispatch(),
            socket: listener.as_ptr(),
            remote: places.address(),
            context,
            callbacks,
        })
    }
}

makes!([] AcceptCall, ConnectionCategory: p, irp => p.table.wsk_accept(
    p.socket, p.context, p.callbacks, None, Some(p.remote), irp
));

/// The parameters of `WskSocket`.
#[derive(Clone, Copy)]
pub struct SocketCall<C: Category> {
    /// The socket to be made, which has the other parameters. They are read when the call is made, so that they need not be moved there.
    making: NonNull<Making<C>>,
}

impl<C: Category> SocketCall<C> {
    pub(crate) fn new(making: Loan<'_, Making<C>>) -> Bound<'_, Self> {
        // INVARIANT: what is made is lent, and has the capture and the owner. Context and callbacks stay until the socket is closed: whoever
        // takes it has them.
        Bound::new(Self {
            making: Loan::place(making),
        })
    }
}

makes!([C: Category] SocketCall<C>, C: p, irp => {
    let making = p.making.as_ref();
    let (capture, owner) = (making.capture(), making.owner());
    let (context, callbacks) = making.callbacks();
    let (kind, protocol) = making.transport();
    capture.dispatch()?.wsk_socket(
        capture.client(), making.family().number(), kind, protocol, C::FLAG, context, callbacks.map(NonNull::cast),
        owner.process, owner.thread, owner.security, irp
    )
});

/// The parameters of `WskSocketConnect`.
#[derive(Clone, Copy)]
pub struct SocketConnectCall {
    /// As for [`SocketCall`].
    making: NonNull<Making<ConnectionCategory>>,
    remote: NonNull<SOCKADDR>,
}

impl SocketConnectCall {
    pub(crate) fn new<'x>(
        making: Loan<'x, Making<ConnectionCategory>>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // INVARIANT: as for `WskSocket`; the addresses are in the arguments and in what is carried.
        Bound::new(Self {
            making: Loan::place(making),
            remote: places.address(),
        })
    }
}

makes!([] SocketConnectCall, ConnectionCategory: p, irp => {
    let making = p.making.as_ref();
    let (capture, owner) = (making.capture(), making.owner());
    let (context, callbacks) = making.callbacks();
    let (kind, protocol) = making.transport();
    let local = NonNull::from(&making.own).cast();
    capture.dispatch()?.wsk_socket_connect(
        capture.client(), kind, protocol, local, p.remote,
        context, callbacks, owner.process, owner.thread, owner.security, irp
    )
});

/// The parameters of `WskGetAddressInfo`.
#[derive(Clone, Copy)]
pub struct AddressInfoCall {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    name: Option<NonNull<UNICODE_STRING>>,
    name_space: u32,
    service: Option<NonNull<UNICODE_STRING>>,
    hints: NonNull<ADDRINFOEXW>,
    result: NonNull<*mut ADDRINFOEXW>,
}

impl AddressInfoCall {
    pub(crate) fn new<'x>(
        provider: &'x Provider,
        name: Option<Loan<'x, UnicodeString>>,
        name_space: u32,
        service: Option<Loan<'x, UnicodeString>>,
        list: Loan<'x, AddressList>,
    ) -> Result<Bound<'x, Self>, Error> {
        let capture = provider.capture();
        // INVARIANT: client and table are the captured provider's; names, hints and the place of the result are in what is carried.
        Ok(Bound::new(Self {
            table: capture.dispatch()?,
            client: capture.client(),
            name: name.map(|name| name.string()),
            name_space,
            service: service.map(|service| service.string()),
            hints: list.hints(),
            result: list.result(),
        }))
    }
}

calls!([B] AddressInfoCall, B: p, irp => p.table.wsk_get_address_info(
    p.client, p.name, p.service, p.name_space, None, Some(p.hints), p.result, None, None, irp
);
    // The strings.
    const POINTS_INTO_CARRIED: bool = true;
);

/// The parameters of `WskGetNameInfo`.
#[derive(Clone, Copy)]
pub struct NameInfoCall {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    address: NonNull<SOCKADDR>,
    length: u32,
    host: NonNull<UNICODE_STRING>,
    service: NonNull<UNICODE_STRING>,
    flags: u32,
}

impl NameInfoCall {
    pub(crate) fn new<'x>(
        provider: &'x Provider,
        host: Loan<'x, UnicodeString>,
        service: Loan<'x, UnicodeString>,
        flags: u32,
        arguments: &Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        let capture = provider.capture();
        let length = address::size_of_family(arguments.address.family())?;
        // INVARIANT: client and table are the captured provider's; the address is in the arguments, the strings in what is carried.
        Ok(Bound::new(Self {
            table: capture.dispatch()?,
            client: capture.client(),
            address: places.address(),
            // That of a socket address.
            #[allow(clippy::cast_possible_truncation)]
            length: length as u32,
            host: host.string(),
            service: service.string(),
            flags,
        }))
    }
}

calls!([B] NameInfoCall, B: p, irp => p.table.wsk_get_name_info(
    p.client, p.address, p.length, Some(p.host), Some(p.service), p.flags, None, None, irp
);
    // The strings.
    const POINTS_INTO_CARRIED: bool = true;
);

/// The parameters of `WskBind`, or of another step that a socket takes before it can be used.
#[derive(Clone, Copy)]
pub enum SetUpCall<C: Category> {
    #[doc(hidden)]
    Bind(AddressCall<C>),
    #[doc(hidden)]
    Control(ControlCall),
}

/// The parameters of a function that takes the place of an address.
#[derive(Clone, Copy)]
pub struct AddressCall<C: Category> {
    table: C::Dispatch,
    socket: NonNull<WSK_SOCKET>,
    address: NonNull<SOCKADDR>,
}

impl<C: Category> AddressCall<C> {
    fn of<'x>(socket: &'x Handle<C>, places: Places<'x>) -> Self {
        Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            address: places.address(),
        }
    }
}

impl<C: Category> SetUpCall<C> {
    /// Binds the socket to the address of the arguments.
    pub(crate) fn bind<'x>(socket: &'x Handle<C>, places: Places<'x>) -> Bound<'x, Self> {
        // INVARIANT: the address is in the arguments.
        Bound::new(Self::Bind(AddressCall::of(socket, places)))
    }

    /// Sets an option.
    pub(crate) fn control(control: Bound<'_, ControlCall>) -> Bound<'_, Self> {
        // INVARIANT: bound to the same operation.
        Bound::new(Self::Control(control.into_call()))
    }
}

calls!([C: Category, B] SetUpCall<C>, B: p, irp => match (p, C::BIND) {
    (SetUpCall::Bind(p), Some(bind)) => bind(p.table, p.socket, p.address, irp),
    (SetUpCall::Bind(_), None) => Err(DispatchError::Absent { entry: "WskBind" }),
    (SetUpCall::Control(p), _) => p.call(Some(irp)),
});

/// The parameters of `WskGetLocalAddress`.
#[derive(Clone, Copy)]
pub struct LocalAddressCall<C: Category>(AddressCall<C>);

impl<C: Category> LocalAddressCall<C> {
    pub(crate) fn new<'x>(socket: &'x Handle<C>, places: Places<'x>) -> Bound<'x, Self> {
        // INVARIANT: the place of the address is in the arguments.
        Bound::new(Self(AddressCall::of(socket, places)))
    }
}

calls!([C: Category, B] LocalAddressCall<C>, B: p, irp => match C::LOCAL_ADDRESS {
    Some(local_address) => local_address(p.0.table, p.0.socket, p.0.address, irp),
    None => Err(DispatchError::Absent { entry: "WskGetLocalAddress" }),
});

/// The parameters of `WskGetRemoteAddress`.
#[derive(Clone, Copy)]
pub struct RemoteAddressCall(AddressCall<ConnectionCategory>);

impl RemoteAddressCall {
    pub(crate) fn new<'x>(
        socket: &'x Handle<ConnectionCategory>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // INVARIANT: the place of the address is in the arguments.
        Bound::new(Self(AddressCall::of(socket, places)))
    }
}

calls!([B] RemoteAddressCall, B: p, irp => p.0.table.wsk_get_remote_address(p.0.socket, p.0.address, irp));

/// The parameters of `WskConnect`.
#[derive(Clone, Copy)]
pub struct ConnectCall {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    remote: NonNull<SOCKADDR>,
}

impl ConnectCall {
    pub(crate) fn new<'x>(
        socket: Loan<'x, ConnectionSocket>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // INVARIANT: the socket is the one that is carried, and so open; the address is in the arguments.
        Bound::new(Self {
            table: socket.handle.dispatch(),
            socket: socket.handle.as_ptr(),
            remote: places.address(),
        })
    }
}

calls!([B] ConnectCall, B: p, irp => p.table.wsk_connect(p.socket, p.remote, irp));

/// The parameters of `WskConnectEx`.
#[derive(Clone, Copy)]
pub struct ConnectExCall {
    connect: ConnectCall,
    buffer: NonNull<WSK_BUF>,
}

impl ConnectExCall {
    pub(crate) fn new<'x>(
        socket: Loan<'x, ConnectionSocket>,
        sent: Sent<'x>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // INVARIANT: as for `WskConnect`; the buffer is lent.
        Bound::new(Self {
            connect: ConnectCall::new(socket, places).call,
            buffer: sent.buffer(),
        })
    }
}

calls!([B] ConnectExCall, B: p, irp => p.connect.table.wsk_connect_ex(
    p.connect.socket, p.connect.remote, Some(p.buffer), irp
));

/// The parameters of `WskListen`.
#[derive(Clone, Copy)]
pub(crate) struct ListenCall {
    table: WskProviderStreamDispatch,
    socket: NonNull<WSK_SOCKET>,
}

impl ListenCall {
    pub(crate) fn new(socket: &Handle<StreamCategory>) -> Bound<'_, Self> {
        // INVARIANT: there is nothing to point at.
        Bound::new(Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
        })
    }
}

calls!([B] ListenCall, B: p, irp => p.table.wsk_listen(p.socket, irp));

/// The parameters of `WskInspectComplete`.
#[derive(Clone, Copy)]
pub struct InspectCall {
    table: WskProviderListenDispatch,
    socket: NonNull<WSK_SOCKET>,
    id: NonNull<WSK_INSPECT_ID>,
    action: WSK_INSPECT_ACTION,
}

impl InspectCall {
    fn of(
        listener: &Handle<ListenCategory>,
        id: InspectId,
        action: WSK_INSPECT_ACTION,
        arguments: &mut Arguments,
        places: Places<'_>,
    ) -> Self {
        arguments.set_value(&id.bytes());
        Self {
            table: listener.dispatch(),
            socket: listener.as_ptr(),
            id: places.value(InspectId::SIZE).cast(),
            action,
        }
    }

    /// Decides about a connection whose listener is kept open.
    pub(crate) fn new<'x>(
        pended: Loan<'x, Pended>,
        action: WSK_INSPECT_ACTION,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        let listener = pended.kept_open().ok_or(Error::Closed)?;
        // INVARIANT: the identifier is in the arguments; what is carried keeps the socket open.
        Ok(Bound::new(Self::of(
            listener,
            pended.id(),
            action,
            arguments,
            places,
        )))
    }

    /// Rejects a connection.
    pub(crate) fn reject<'x>(
        listener: &'x Handle<ListenCategory>,
        id: InspectId,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        let action = WSK_INSPECT_ACTION::WskInspectReject;
        // INVARIANT: the identifier is in the arguments.
        Bound::new(Self::of(listener, id, action, arguments, places))
    }
}

calls!([B] InspectCall, B: p, irp => p.table.wsk_inspect_complete(p.socket, p.id, p.action, irp));

/// The parameters of `WskDisconnect`.
#[derive(Clone, Copy)]
pub struct DisconnectCall {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: Option<NonNull<WSK_BUF>>,
    flags: u32,
}

impl DisconnectCall {
    pub(crate) fn new<'x>(
        socket: &'x Handle<ConnectionCategory>,
        last: Option<Sent<'x>>,
        flags: u32,
    ) -> Bound<'x, Self> {
        // INVARIANT: the buffer is lent.
        Bound::new(Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer: last.map(Sent::buffer),
            flags,
        })
    }
}

calls!([B] DisconnectCall, B: p, irp => p.table.wsk_disconnect(p.socket, p.buffer, p.flags, irp));

/// Copies control information for a send into the arguments. Returns its length and its place.
fn put_control<'x>(
    control: Loan<'x, [u8]>,
    arguments: &mut Arguments,
    places: Places<'x>,
) -> Result<(u32, *mut CMSGHDR), Error> {
    if control.is_empty() {
        return Ok((0, core::ptr::null_mut()));
    }
    if control.len() > SHARED_ROOM {
        return Err(Error::ControlFull {
            needed: control.len(),
            room: SHARED_ROOM,
        });
    }
    arguments.put_control(&control);
    // The room is small.
    #[allow(clippy::cast_possible_truncation)]
    let length = control.len() as u32;
    Ok((length, places.control_room().1.as_ptr()))
}

/// As [`put_control`], for a function that takes a slice; `None` if there is no control information.
fn put_any_control<'x>(
    control: Loan<'x, [u8]>,
    arguments: &mut Arguments,
    places: Places<'x>,
) -> Result<Option<NonNull<[u8]>>, Error> {
    let (length, _) = put_control(control, arguments, places)?;
    Ok((length > 0).then(|| places.control(length as usize)))
}

/// The parameters of `WskSend`, or of `WskSendEx`, which takes control information.
#[derive(Clone, Copy)]
pub struct SendCall {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    flags: u32,
    control: Option<NonNull<[u8]>>,
}

impl SendCall {
    pub(crate) fn new<'x>(
        socket: &'x Handle<ConnectionCategory>,
        sent: Sent<'x>,
        flags: u32,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        let control = put_any_control(sent.control(), arguments, places)?;
        // INVARIANT: the buffer is lent, and the control information is in the arguments.
        Ok(Bound::new(Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer: sent.buffer(),
            flags: socket.send_flags.load(Ordering::Relaxed) | flags,
            control,
        }))
    }

    /// The flags of the send, with those of the socket.
    pub(crate) const fn flags(&self) -> u32 {
        self.flags
    }
}

calls!([B] SendCall, B: p, irp => match p.control {
    None => p.table.wsk_send(p.socket, p.buffer, p.flags, irp),
    control => p.table.wsk_send_ex(p.socket, p.buffer, p.flags, control, irp),
});

// SAFETY: `WskSend` reads what they point at.
unsafe impl Repeatable for SendCall {}

/// The parameters of `WskSendMessages`.
#[derive(Clone, Copy)]
pub struct SendMessagesCall {
    table: WskProviderDatagramDispatch,
    socket: NonNull<WSK_SOCKET>,
    list: LockedList,
    address: Option<NonNull<SOCKADDR>>,
    control: Option<NonNull<[u8]>>,
}

impl SendMessagesCall {
    /// Sends to the address in the arguments, or to the fixed one.
    pub(crate) fn new<'x>(
        socket: &'x Handle<DatagramCategory>,
        sent: SentList<'x>,
        fixed: bool,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        let control = put_any_control(sent.control(), arguments, places)?;
        // INVARIANT: the list is lent; address and control information are in the arguments.
        Ok(Bound::new(Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            list: sent.list(),
            address: (!fixed).then(|| places.address()),
            control,
        }))
    }

    /// Whether it sends to the address that is fixed.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.address.is_none()
    }
}

impl<'x> Bound<'x, SendMessagesCall> {
    /// Changes the address. WSK gets it from now on, even if the request sent to the fixed one.
    ///
    /// # Errors
    ///
    /// The reason why the list cannot be sent there. The arguments stay as they were.
    pub(crate) fn sent_to(
        self,
        socket: &Handle<DatagramCategory>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Self, Error> {
        let longest = self.call.list.longest;
        if !to.put(socket.ready(), longest, &mut arguments.address) {
            return Err(why_not(socket, &to, longest));
        }
        // INVARIANT: the address is in the arguments.
        Ok(Self::new(SendMessagesCall {
            address: Some(places.address()),
            ..self.call
        }))
    }
}

calls!([B] SendMessagesCall, B: p, irp => p.table.wsk_send_messages(
    p.socket, p.list.first, p.address, p.control, irp
));

// SAFETY: `WskSendMessages` reads what they point at.
unsafe impl Repeatable for SendMessagesCall {}

/// The parameters of `WskSendTo`.
#[derive(Clone, Copy)]
pub struct SendToCall {
    /// Ready, so that it has the entry.
    socket: NonNull<Socket<DatagramCategory>>,
    buffer: NonNull<WSK_BUF>,
    address: *mut SOCKADDR,
    control_length: u32,
    control: *mut CMSGHDR,
}

/// Why a datagram cannot be sent.
#[cold]
#[inline(never)]
pub(crate) fn why_not<D: Destination>(
    socket: &Socket<DatagramCategory>,
    to: D,
    length: usize,
) -> Error {
    if socket.ready() == 0 {
        socket.why_not_ready()
    } else {
        to.why_not(socket.family(), length)
    }
}

impl SendToCall {
    /// Sends to an address, or to the fixed one, which WSK knows already.
    #[inline]
    pub(crate) fn new<'x, D: Destination>(
        socket: &'x Handle<DatagramCategory>,
        sent: Sent<'x>,
        to: D,
        fixed: bool,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        // This fails for every address if the socket is not ready.
        if !to.put(socket.ready(), sent.length(), &mut arguments.address) {
            return Err(why_not(socket, to, sent.length()));
        }
        let (control_length, control) = put_control(sent.control(), arguments, places)?;
        // INVARIANT: the buffer is lent; address and control information are in the arguments.
        Ok(Bound::new(Self {
            socket: NonNull::from(&**socket),
            buffer: sent.buffer(),
            address: if fixed {
                core::ptr::null_mut()
            } else {
                places.address().as_ptr()
            },
            control_length,
            control,
        }))
    }

    /// Whether it sends to the address that is fixed.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.address.is_null()
    }
}

impl<'x> Bound<'x, SendToCall> {
    /// Changes the address. WSK gets it from now on, even if the request sent to the fixed one.
    ///
    /// # Errors
    ///
    /// The reason why the datagram cannot be sent there. The arguments stay as they were.
    pub(crate) fn sent_to(
        self,
        socket: &Handle<DatagramCategory>,
        to: impl Destination,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Self, Error> {
        // SAFETY: by the invariant the buffer is lent, so its `WSK_BUF` is there.
        let length = unsafe { self.call.buffer.as_ref() }.Length;
        if !to.put(socket.ready(), length, &mut arguments.address) {
            return Err(why_not(socket, &to, length));
        }
        // INVARIANT: the address is in the arguments.
        Ok(Self::new(SendToCall {
            address: places.address().as_ptr(),
            ..self.call
        }))
    }
}

// The socket is ready, so that its entries are there.
calls!([B] SendToCall, B: p, irp => {
    let socket = p.socket.as_ref();
    Ok((socket.entries().send_to.unwrap_unchecked())(
        socket.as_ptr().as_ptr(),
        p.buffer.as_ptr(),
        0,
        p.address,
        p.control_length,
        p.control,
        irp.as_ptr(),
    ))
});

// SAFETY: `WskSendTo` reads what they point at.
unsafe impl Repeatable for SendToCall {}

/// The parameters of `WskReceiveFrom`.
#[derive(Clone, Copy)]
pub struct ReceiveFromCall {
    /// Ready, so that it has the entry.
    socket: NonNull<Socket<DatagramCategory>>,
    buffer: NonNull<WSK_BUF>,
    address: NonNull<SOCKADDR>,
    control_length: *mut u32,
    control: *mut CMSGHDR,
    flags: NonNull<u32>,
}

impl ReceiveFromCall {
    #[inline]
    pub(crate) fn new<'x>(
        socket: &'x Handle<DatagramCategory>,
        room: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        socket.require_bound()?;
        Self::make_ready(room.control(), arguments);
        let (mut control_length, mut control) = (core::ptr::null_mut(), core::ptr::null_mut());
        if room.control() > 0 {
            let (length, room) = places.control_room();
            (control_length, control) = (length.as_ptr(), room.as_ptr());
        }
        // INVARIANT: the buffer is lent; all else is in the arguments.
        Ok(Bound::new(Self {
            socket: NonNull::from(&**socket),
            buffer: room.buffer(),
            address: places.address(),
            control_length,
            control,
            flags: places.control_flags(),
        }))
    }

    /// Clears the flags, the address and the control information, for which there is so much room. If the provider writes none of them,
    /// those of the last datagram must not remain.
    #[inline]
    pub(crate) fn make_ready(room: usize, arguments: &mut Arguments) {
        arguments.control_flags = 0;
        arguments.address.clear();
        arguments.make_control_ready(room);
    }
}

// The socket is ready, so that its entries are there.
calls!([B] ReceiveFromCall, B: p, irp => {
    let socket = p.socket.as_ref();
    Ok((socket.entries().receive_from.unwrap_unchecked())(
        socket.as_ptr().as_ptr(),
        p.buffer.as_ptr(),
        0,
        p.address.as_ptr(),
        p.control_length,
        p.control,
        p.flags.as_ptr(),
        irp.as_ptr(),
    ))
});

// SAFETY: what they point at is written anew by each run: the length of the room for control information by `Repeat::again`, which makes
// the room ready, the rest by WSK.
unsafe impl Repeatable for ReceiveFromCall {}

/// The parameters of `WskReceive`, or of `WskReceiveEx`, which gives control information.
#[derive(Clone, Copy)]
pub struct ReceiveCall {
    table: WskProviderConnectionDispatch,
    socket: NonNull<WSK_SOCKET>,
    buffer: NonNull<WSK_BUF>,
    flags: u32,
    control: Wanted,
}

/// The control information that a receive asks for.
#[derive(Clone, Copy)]
enum Wanted {
    /// None, by `WskReceive`.
    None,
    /// None, by `WskReceiveEx`.
    NoneEx,
    /// As much as there is room for: the place of the length, and the place of the bytes.
    Room(NonNull<u32>, NonNull<CMSGHDR>),
}

impl ReceiveCall {
    fn of(
        socket: &Socket<ConnectionCategory>,
        buffer: NonNull<WSK_BUF>,
        flags: u32,
        control: Wanted,
    ) -> Self {
        Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            buffer,
            flags,
            control,
        }
    }

    /// Receives the bytes that have arrived, with their control information if there is room for any.
    pub(crate) fn new<'x>(
        socket: &'x Handle<ConnectionCategory>,
        room: Room<'x>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        arguments.make_control_ready(room.control());
        let control = if room.control() > 0 {
            let (length, control) = places.control_room();
            Wanted::Room(length, control)
        } else {
            Wanted::None
        };
        // INVARIANT: the buffer is lent; the room for control information is in the arguments.
        Bound::new(Self::of(socket, room.buffer(), 0, control))
    }

    fn of_nothing<'x>(
        socket: &'x Handle<ConnectionCategory>,
        flags: u32,
        control: Wanted,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        arguments.length = 0;
        arguments.set_no_buffer();
        // INVARIANT: the buffer, of no bytes, is in the arguments.
        Bound::new(Self::of(socket, places.buffer(), flags, control))
    }

    /// Discards the bytes that arrive.
    pub(crate) fn drain<'x>(
        socket: &'x Handle<ConnectionCategory>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        Self::of_nothing(socket, WSK_FLAG_DRAIN, Wanted::None, arguments, places)
    }

    /// Receives no bytes.
    pub(crate) fn nothing<'x>(
        socket: &'x Handle<ConnectionCategory>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // Bytes that an event with control information has not accepted have to be asked for with `WskReceiveEx`.
        let control = if socket.indicates_control.load(Ordering::Relaxed) {
            Wanted::NoneEx
        } else {
            Wanted::None
        };
        Self::of_nothing(socket, 0, control, arguments, places)
    }
}

calls!([B] ReceiveCall, B: p, irp => match p.control {
    Wanted::None => p.table.wsk_receive(p.socket, p.buffer, p.flags, irp),
    Wanted::NoneEx => p.table.wsk_receive_ex(p.socket, p.buffer, p.flags, None, None, irp),
    Wanted::Room(length, control) => {
        p.table.wsk_receive_ex(p.socket, p.buffer, p.flags, Some(length), Some(control), irp)
    }
});

// SAFETY: as for `ReceiveFromCall`.
unsafe impl Repeatable for ReceiveCall {}

/// The socket of a receive that fills its buffer, to go on with. Not every provider waits until the buffer is full.
#[derive(Debug)]
pub struct Progress {
    /// The socket. It may be closed meanwhile.
    socket: Shared<Socket<ConnectionCategory>>,
}

impl Progress {
    pub(crate) fn on(socket: &Handle<ConnectionCategory>) -> Self {
        Self {
            socket: socket.share(),
        }
    }
}

impl Ingredient for Progress {}

impl core::fmt::Debug for Shared<Socket<ConnectionCategory>> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Socket")
    }
}

/// The parameters of `WskReceive` until a buffer is full.
#[derive(Clone, Copy)]
pub struct ReceiveAllCall(ReceiveCall);

impl ReceiveAllCall {
    pub(crate) fn new<'x>(
        socket: &'x Handle<ConnectionCategory>,
        room: Room<'x>,
        arguments: &mut Arguments,
    ) -> Bound<'x, Self> {
        let bound = Self::renewed(socket, room, arguments);
        arguments.begin_again();
        bound
    }

    /// As [`new`](Self::new), for a run that begins later.
    pub(crate) fn renewed<'x>(
        socket: &'x Handle<ConnectionCategory>,
        room: Room<'x>,
        arguments: &mut Arguments,
    ) -> Bound<'x, Self> {
        // SAFETY: the rest is a part of this, wherever that lies, and is lent with it: see `goes_on`.
        unsafe { arguments.set_whole(room.extent().as_wsk_buf()) };
        let flags = WSK_FLAG_WAITALL;
        // INVARIANT: the buffer is lent.
        Bound::new(Self(ReceiveCall::of(
            socket,
            room.buffer(),
            flags,
            Wanted::None,
        )))
    }
}

calls!([B] ReceiveAllCall, Beside<Progress, B>: p, irp => CallParameters::<B>::submit(&p.0, irp);
    const GOES_ON: bool = true;

    unsafe fn goes_on(
        outcome: Outcome,
        arguments: &mut Arguments,
        places: Places<'_>,
        carried: NonNull<Beside<Progress, B>>,
    ) -> Option<Result<More, NTSTATUS>> {
        let whole = arguments.whole();
        let received = arguments.before_rest().saturating_add(outcome.information);
        // No bytes mean the end of the connection. A full buffer is finished.
        if !outcome.status.is_success() || outcome.information == 0 || received >= whole.Length {
            return None;
        }
        // SAFETY: the caller gives what is carried, of which the progress is no part that WSK uses. The whole is the extent of the buffer,
        // which is still lent, since the parameters were bound, and so is its rest.
        unsafe {
            // These bytes have come, even if no more can.
            arguments.set_rest(Described::of(whole).rest(received).as_wsk_buf());
            // To succeed with fewer bytes would look like the end of the connection.
            let Some(socket) = CallHandle::from_open(&Beside::ingredient(carried).as_ref().socket) else {
                return Some(Err(STATUS_CANCELLED));
            };
            let call = ReceiveCall::of(&socket, places.buffer(), 0, Wanted::None);
            Some(Ok(More { socket, call }))
        }
    }

    /// If a request with `WSK_FLAG_WAITALL` is cancelled, the bytes that have arrived may be lost: the documentation does not say. So this
    /// request asks for the bytes that there are, again and again.
    fn may_end_early(&mut self) {
        self.0.flags = 0;
    }
);

// SAFETY: as for `ReceiveFromCall`. The rest of the buffer is described anew by each run.
unsafe impl Repeatable for ReceiveAllCall {}

/// The next call of a receive that goes on: the socket, which this keeps open, and the parameters for the rest of the buffer. The rest is
/// described in the operation's arguments.
pub struct More {
    socket: CallHandle<ConnectionCategory>,
    call: ReceiveCall,
}

impl More {
    /// The capture that keeps the driver from being unloaded.
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        self.socket.capture()
    }

    /// The parameters, bound to the operation that goes on.
    pub(crate) const fn call(&self) -> ReceiveCall {
        self.call
    }
}

/// The parameters of `WskControlClient`, for a change of the list of transports.
#[derive(Clone, Copy)]
pub struct ClientCall {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
}

impl ClientCall {
    /// Waits for a change of the list of transports.
    pub(crate) fn transport_change(provider: &Provider) -> Result<Bound<'_, Self>, Error> {
        let capture = provider.capture();
        // INVARIANT: there is nothing to point at; client and table are the captured provider's.
        Ok(Bound::new(Self {
            table: capture.dispatch()?,
            client: capture.client(),
        }))
    }
}

calls!([B] ClientCall, B: p, irp => p.table.wsk_control_client(
    p.client, WSK_TRANSPORT_LIST_CHANGE, None, None, None, Some(irp)
));

// SAFETY: there is nothing to point at.
unsafe impl Repeatable for ClientCall {}
// SAFETY: as above.
unsafe impl Constant for ClientCall {}

/// The parameters of `WskControlClient` for a code that somebody vouches for.
#[derive(Clone, Copy)]
pub struct RawClientCall {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    code: u32,
    input: Option<NonNull<[u8]>>,
    output: Option<NonNull<[u8]>>,
}

impl RawClientCall {
    pub(crate) fn new<'x>(
        provider: &'x Provider,
        code: ClientCode,
        copies: Loan<'x, Copies>,
    ) -> Result<Bound<'x, Self>, Error> {
        let capture = provider.capture();
        // INVARIANT: client and table are the captured provider's; the copies are lent, and who has vouched for the code for what they are.
        Ok(Bound::new(Self {
            table: capture.dispatch()?,
            client: capture.client(),
            code: code.get(),
            input: copies.input(),
            output: copies.output(),
        }))
    }
}

calls!([B] RawClientCall, B: p, irp => p.table.wsk_control_client(
    p.client, p.code, p.input, p.output, None, Some(irp)
));

/// An option or an I/O control operation of a socket that has no type in this crate, with its input. For one request.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(wsk::Family::V4.any())?;
/// use wsk::ioctl::ControlRequest;
/// use wsk::raw::RawControl;
/// use wsk_sys::{IP_TTL, IPPROTO_IP};
///
/// let read = ControlRequest::GetOption { level: IPPROTO_IP, option: IP_TTL };
/// // SAFETY: it takes no input, and its output is a number of 32 bits.
/// let read = unsafe { RawControl::new(read, &[]) };
/// let mut hops = [0; 4];
/// assert_eq!(socket.control_raw(read, &mut hops).wait()?, 4);
/// assert!(u32::from_ne_bytes(hops) > 0);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// As the contract of [`new`](Self::new) says.
#[doc(alias = "WskControlSocket")]
#[derive(Debug)]
pub struct RawControl<'b> {
    request: RawRequest,
    input: &'b [u8],
}

impl<'b> RawControl<'b> {
    /// This request.
    ///
    /// # Safety
    ///
    /// The value makes one request, of the socket that it is given to. When that happens:
    ///
    /// * The input is what the request asks for. It writes no more output than there is room for. WSK is given an IRP, always.
    /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to. The last stays
    ///   valid until the request is over, and for ever when it ends in [`Error::Abandoned`] or WSK keeps such a pointer.
    /// * The request changes nothing that this crate keeps account of: it enables or disables no event callback
    ///   (`SO_WSK_EVENT_CALLBACK`) and no conditional accept (`SO_CONDITIONAL_ACCEPT`), fixes no remote address or
    ///   destination (`SIO_WSK_SET_REMOTE_ADDRESS`, `SIO_WSK_SET_SENDTO_ADDRESS`), and registers no extension whose
    ///   callbacks would outlive the driver.
    #[must_use]
    pub const unsafe fn new(request: ControlRequest, input: &'b [u8]) -> Self {
        // INVARIANT: by the contract of this function.
        Self {
            request: RawRequest(request),
            input,
        }
    }

    /// What a redirected connection asks for.
    pub(crate) const fn redirection(what: Redirection, input: &'b [u8]) -> Self {
        // INVARIANT: the codes take and give plain bytes, which WSK writes or checks, and change what the network does with the connection
        // alone.
        Self {
            request: RawRequest(ControlRequest::Ioctl { code: what.code() }),
            input,
        }
    }

    /// The request, and the input that it comes with.
    pub(crate) const fn into_parts(self) -> (RawRequest, &'b [u8]) {
        (self.request, self.input)
    }
}

/// The request of a [`RawControl`].
///
/// # Invariants
///
/// Somebody vouches for it, with the input that it comes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRequest(ControlRequest);

/// The data of WFP about a redirected connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Redirection {
    Records,
    Context,
    SetRecords,
}

impl Redirection {
    const fn code(self) -> u32 {
        match self {
            Self::Records => wsk_sys::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
            Self::Context => wsk_sys::SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT,
            Self::SetRecords => wsk_sys::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS,
        }
    }
}

const SET: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
const GET: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
const IOCTL: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskIoctl;

/// The parameters of `WskControlSocket`, over the arguments.
#[derive(Clone, Copy)]
pub struct ControlCall {
    socket: NonNull<WSK_SOCKET>,
    kind: WSK_CONTROL_SOCKET_TYPE,
    code: u32,
    level: u32,
    input: Option<NonNull<[u8]>>,
    output: Option<NonNull<[u8]>>,
}

impl ControlCall {
    fn of<C: Category>(
        socket: &Handle<C>,
        kind: WSK_CONTROL_SOCKET_TYPE,
        code: u32,
        level: u32,
    ) -> Self {
        Self {
            socket: socket.as_ptr(),
            kind,
            code,
            level,
            input: None,
            output: None,
        }
    }

    /// Sets an option.
    pub(crate) fn set_option<'x, C: Category, O: SocketOption>(
        socket: &'x Handle<C>,
        option: &O,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        let mut value = [0; option::LARGEST];
        let length = option.write(&mut value).min(value.len());
        arguments.set_value(&value);
        // INVARIANT: options are plain values; this one is in the arguments.
        Bound::new(Self {
            input: Some(places.value(length)),
            ..Self::of(socket, SET, O::NAME, O::LEVEL)
        })
    }

    /// Reads an option into the value of the arguments.
    pub(crate) fn get_option<'x, C: Category, O: ReadableOption>(
        socket: &'x Handle<C>,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        const { assert!(O::SIZE <= option::LARGEST) };
        // INVARIANT: options are plain values; the room for this one is in the arguments.
        Bound::new(Self {
            output: Some(places.value(O::SIZE)),
            ..Self::of(socket, GET, O::NAME, O::LEVEL)
        })
    }

    /// Carries out an I/O control operation.
    pub(crate) fn ioctl<'x, C: Category, O: Ioctl>(
        socket: &'x Handle<C>,
        request: &O,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        const { assert!(O::GIVES <= SHARED_ROOM, "there is room for what is given") };
        let mut call = Self::of(socket, IOCTL, O::CODE, 0);
        match request.input() {
            Input::Bytes(value, length) => {
                arguments.set_value(&value);
                let length = length.min(value.len());
                call.input = (length > 0).then(|| places.value(length));
                call.output = (O::GIVES > 0).then(|| places.output(O::GIVES));
            }
            Input::Address(address) => {
                let (address, family) = (address?, socket.family());
                family.check(&address)?;
                family.write(address, &mut arguments.address);
                let size = family.size();
                call.input = Some(places.address_bytes(size));
                call.output = Some(places.output(size));
            }
        }
        // Not earlier: if the check fails, a prepared operation keeps its last output.
        arguments.make_output_ready();
        // INVARIANT: the operations of `ioctl` take and give plain values of these sizes, or addresses of the socket's family; they are in
        // the arguments.
        Ok(Bound::new(call))
    }

    /// Fixes the remote address or the destination of a socket to the address in the arguments, which is of the socket's family.
    pub(crate) fn fix<'x>(
        socket: &'x Handle<DatagramCategory>,
        destination: bool,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        let code = if destination {
            wsk_sys::SIO_WSK_SET_SENDTO_ADDRESS
        } else {
            wsk_sys::SIO_WSK_SET_REMOTE_ADDRESS
        };
        // INVARIANT: the address is in the arguments.
        Bound::new(Self {
            input: Some(places.address_bytes(socket.family().size())),
            ..Self::of(socket, IOCTL, code, 0)
        })
    }

    /// Disables events.
    pub(crate) fn disable_events<'x, C: Category>(
        socket: &'x Handle<C>,
        mask: u32,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        require_events(socket)?;
        arguments.set_events(mask | WSK_EVENT_DISABLE);
        // INVARIANT: the structure is in the arguments, and points at a static.
        Ok(Bound::new(Self {
            input: Some(places.events()),
            ..Self::of(socket, SET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET)
        }))
    }

    /// Sets the callback of a connection that gets control information, or removes it.
    pub(crate) fn indicate_control<'x>(
        socket: &'x Handle<ConnectionCategory>,
        on: bool,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, Self>, Error> {
        let callback = socket.events().ok_or(Error::NoEvents)?.receive_ex();
        let callback = callback
            .filter(|_| on)
            .map_or(core::ptr::null(), |callback| callback as *const c_void);
        // INVARIANT: the callback is for the context that the socket was made with, and a static as all functions; NULL takes it away.
        Ok(Bound::new(Self {
            input: Some(pointer(callback, arguments, places)),
            ..Self::of(socket, IOCTL, SIO_WSK_SET_RECEIVE_EX_CALLBACK, 0)
        }))
    }

    /// # Safety
    ///
    /// As for [`CallParameters::submit`]. The IRP may be absent if the code takes none.
    unsafe fn call(&self, irp: Option<NonNull<IRP>>) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP. The socket is open, so it has a table, which begins with the functions that every socket has. Input
        // and output are those that the code takes.
        unsafe {
            let table = NonNull::new_unchecked((*self.socket.as_ptr()).Dispatch.cast_mut());
            // Every Windows has these functions.
            WskProviderBasicDispatch::new(table.cast(), 0).wsk_control_socket(
                self.socket,
                self.kind,
                self.code,
                self.level,
                self.input,
                self.output,
                None,
                irp,
            )
        }
    }
}

calls!([B] ControlCall, B: p, irp => p.call(Some(irp)));

// SAFETY: what they point at is read, or written anew by each run.
unsafe impl Repeatable for ControlCall {}
// SAFETY: that is the arguments.
unsafe impl Constant for ControlCall {}

/// The parameters of `WskControlSocket`, over what is lent.
#[derive(Clone, Copy)]
pub struct LentControlCall(ControlCall);

impl LentControlCall {
    /// Gives a socket a security descriptor.
    pub(crate) fn set_security<'x, C: Category>(
        socket: &'x Handle<C>,
        descriptor: Loan<'x, SecurityDescriptor>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Bound<'x, Self> {
        // INVARIANT: what the pointer leads to is lent.
        Bound::new(Self(ControlCall {
            input: Some(pointer(descriptor.as_ptr(), arguments, places)),
            ..ControlCall::of(socket, SET, SO_WSK_SECURITY, SOL_SOCKET)
        }))
    }

    /// Reads the security descriptor of a socket.
    pub(crate) fn get_security<'x, C: Category>(
        socket: &'x Handle<C>,
        room: Loan<'x, DescriptorRoom>,
    ) -> Bound<'x, Self> {
        // INVARIANT: the room for the pointer is lent.
        Bound::new(Self(ControlCall {
            output: room.place(),
            ..ControlCall::of(socket, GET, SO_WSK_SECURITY, SOL_SOCKET)
        }))
    }

    /// Makes a request that has no type here.
    pub(crate) fn raw<'x, C: Category>(
        socket: &'x Handle<C>,
        request: RawRequest,
        copies: Loan<'x, Copies>,
    ) -> Bound<'x, Self> {
        let (kind, code, level) = request.0.parts();
        // INVARIANT: the copies are lent, and who has vouched for the request has for what they are.
        Bound::new(Self(ControlCall {
            input: copies.input(),
            output: copies.output(),
            ..ControlCall::of(socket, kind, code, level)
        }))
    }
}

calls!([B] LentControlCall, B: p, irp => p.0.call(Some(irp)));

// SAFETY: what they point at is lent, or in the arguments, which nobody changes between two runs.
unsafe impl Repeatable for LentControlCall {}

fn may_have_events<C: Category>(socket: &Socket<C>) -> bool {
    socket.has_events() && socket.ready() != 0
}

/// Fails for a socket that cannot have events.
#[cold]
#[inline(never)]
fn require_events<C: Category>(socket: &Socket<C>) -> Result<(), Error> {
    if !socket.has_events() {
        return Err(Error::NoEvents);
    }
    socket.require_bound()
}

/// An operation on a socket that takes no IRP.
enum SocketAtOnce<'a> {
    /// `SO_WSK_EVENT_CALLBACK`, which enables the events of this mask.
    Enable(u32),
    /// `SIO_WSK_REGISTER_EXTENSION`. WSK writes to the structure.
    Register(Extension, &'a mut WSK_EXTENSION_CONTROL_OUT),
}

impl SocketAtOnce<'_> {
    fn carry_out<C: Category>(self, socket: &Handle<C>) -> Result<(), Error> {
        let (mut control, mut extension);
        let call = match self {
            Self::Enable(mask) => {
                control = event_control(mask & !WSK_EVENT_DISABLE);
                ControlCall {
                    input: Some(bytes(NonNull::from(&mut control))),
                    ..ControlCall::of(socket, SET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET)
                }
            }
            Self::Register(of_driver, of_provider) => {
                extension = WSK_EXTENSION_CONTROL_IN {
                    NpiId: of_driver.interface,
                    ClientContext: of_driver.context,
                    ClientDispatch: of_driver.dispatch,
                };
                ControlCall {
                    input: Some(bytes(NonNull::from(&mut extension))),
                    output: Some(bytes(NonNull::from(of_provider))),
                    ..ControlCall::of(socket, IOCTL, SIO_WSK_REGISTER_EXTENSION, 0)
                }
            }
        };
        // SAFETY: neither takes an IRP, so the structures are used during the call only, and the socket is open, as there is a handle. What
        // they lead to stays:
        // * the socket's context and table of events until its close has completed;
        // * by the invariant of what is registered, the context and the table as the interface wants them, for this socket.
        Call::WskControlSocket.answered(&unsafe { call.call(None) })
    }
}

/// Enables the events in `mask`, of a socket with a handler. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) fn enable_events<C: Category>(socket: &Handle<C>, mask: u32) -> Result<(), Error> {
    if !may_have_events(socket) {
        return require_events(socket);
    }
    SocketAtOnce::Enable(mask).carry_out(socket)
}

/// Registers a socket for an extension interface. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) fn register_extension<C: Category>(
    socket: &Handle<C>,
    extension: Extension,
) -> Result<ExtensionProvider, Error> {
    let mut output = WSK_EXTENSION_CONTROL_OUT {
        ProviderContext: core::ptr::null_mut(),
        ProviderDispatch: core::ptr::null(),
    };
    SocketAtOnce::Register(extension, &mut output).carry_out(socket)?;
    Ok(ExtensionProvider {
        context: output.ProviderContext,
        dispatch: output.ProviderDispatch,
    })
}

/// Puts a pointer into the arguments, and returns its place. The parameters of the call say what it points to.
fn pointer<T>(pointer: *const T, arguments: &mut Arguments, places: Places<'_>) -> NonNull<[u8]> {
    // WSK reads the pointer from bytes.
    let _ = pointer.expose_provenance();
    // SAFETY: callers, which are in this file, bind it to an operation for which that is there.
    unsafe { arguments.set_pointer(pointer) };
    places.pointer()
}
