//! [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket) and
//! [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect): a socket is made,
//! and perhaps bound and connected.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::{SOCK_STREAM, SOCKADDR, WSK_CLIENT_CONNECTION_DISPATCH, WskProviderDispatch};

use crate::address::Family;
use crate::endpoint::Endpoint;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::shared::Shared;
use crate::registration::{Capture, OwnerPointers};
use crate::request::sealed::Sealed;
use crate::request::submitted;
use crate::request::way::Ingredient;
use crate::request::way::Loan;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::{Category, ConnectedSocket, ConnectionCategory, Handle, Making};

/// The request to open a socket.
#[derive(Debug)]
pub struct Open {
    kind: u16,
    protocol: u32,
}

/// The operation that opens a socket, in the types of handles.
#[derive(Debug)]
pub struct Opening<C>(PhantomData<fn() -> C>);

/// The request of [`ConnectedSocket::connect`](crate::ConnectedSocket::connect): a socket that is bound and connected.
#[derive(Debug)]
pub struct OpenConnected {
    to: Endpoint,
    local: Endpoint,
}

/// The operation of [`ConnectedSocket::connect`](crate::ConnectedSocket::connect), in the types of handles.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::{NewConnection, OpeningConnected};
/// use wsk::ConnectedSocket;
///
/// let connecting: InFlight<OpeningConnected, NewConnection> = ConnectedSocket::connect(&provider, remote).start()?;
/// let connected = connecting.wait().map_err(|(error, _)| error)??;
/// # drop((connected, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct OpeningConnected;

/// The parameters of `WskSocket`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    family: u16,
    kind: u16,
    protocol: u32,
    context: Option<NonNull<c_void>>,
    callbacks: Option<NonNull<c_void>>,
    owner: OwnerPointers,
}

/// The parameters of `WskSocketConnect`.
#[derive(Clone, Copy)]
pub struct ConnectedParameters {
    table: WskProviderDispatch,
    client: Option<NonNull<c_void>>,
    protocol: u32,
    local: NonNull<SOCKADDR>,
    remote: NonNull<SOCKADDR>,
    context: Option<NonNull<c_void>>,
    callbacks: Option<NonNull<WSK_CLIENT_CONNECTION_DISPATCH>>,
    owner: OwnerPointers,
}

pub(crate) fn open<C: Category>(making: Making<C>) -> Request<'static, Open, Making<C>> {
    open_over(making, C::KIND, C::PROTOCOL)
}

/// As [`open`], over another transport than the usual one of the category.
pub(crate) fn open_over<C: Category>(
    making: Making<C>,
    kind: u16,
    protocol: u32,
) -> Request<'static, Open, Making<C>> {
    let protocol = protocol_of(making.family(), protocol);
    Request {
        target: (),
        function: Open { kind, protocol },
        carried: making,
    }
}

pub(crate) fn open_connected(
    making: Making<ConnectionCategory>,
    to: Endpoint,
) -> Request<'static, OpenConnected, Making<ConnectionCategory>> {
    let local = match making.family() {
        Family::Other(other) => Endpoint::unnamed(other),
        family => family.any().into(),
    };
    Request {
        target: (),
        function: OpenConnected { to, local },
        carried: making,
    }
}

impl<C: Category> Ingredient for Making<C> {
    fn get_ready(&mut self) -> Result<(), Error> {
        self.prepare()
    }
}

/// Notes the socket that a completed request has made, if it was successful, and takes it.
///
/// # Safety
///
/// The request has completed with this outcome, and was made with the callbacks of `making`.
pub(super) unsafe fn made<C: Category>(
    call: Call,
    outcome: Outcome,
    making: &mut Making<C>,
) -> Result<Handle<C>, Error> {
    outcome.check(call)?;
    let socket = core::ptr::with_exposed_provenance_mut(outcome.information);
    // SAFETY: as the caller says WSK has made the socket for this request.
    let taken = unsafe {
        making.made(socket);
        making.take()
    };
    taken.ok_or(Error::Call {
        call,
        status: outcome.status,
    })
}

/// The protocol of a socket of this family, where that of IP is this one.
fn protocol_of(family: Family, of_ip: u32) -> u32 {
    match family {
        Family::Other(other) => other.protocol().into(),
        _ => of_ip,
    }
}

impl Sealed for Open {}

impl<C: Category> Function<Making<C>> for Open {
    type Operation = Opening<C>;

    fn put(
        self,
        (): (),
        lent: Loan<Making<C>>,
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        let making = lent.get();
        let (context, callbacks) = making.callbacks();
        Ok(Parameters {
            table: making.capture().dispatch()?,
            client: making.capture().client(),
            family: making.family().number(),
            kind: self.kind,
            protocol: self.protocol,
            context,
            callbacks: callbacks.map(NonNull::cast),
            owner: making.owner(),
        })
    }
}

impl<C> Sealed for Opening<C> {}

// SAFETY: one call is made, whose parameters point at what the socket is made of, which is carried.
unsafe impl<C: Category> Operation<Making<C>> for Opening<C> {
    type Way = Own;
    type Output = Handle<C>;
    type Target<'s> = ();
    type Parameters = Parameters;
    const CALL: Call = Call::WskSocket;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn capture<'a, 't: 'a>((): (), making: &'a Making<C>) -> &'a Shared<Capture> {
        making.capture()
    }

    // Client and table are the captured provider's. Context and callbacks stay until the socket is closed: whoever takes it has them. The
    // owner is in what is carried.
    submitted!(Parameters: p => p.table.wsk_socket(
        p.client, p.family, p.kind, p.protocol, C::FLAG, p.context, p.callbacks,
        p.owner.process, p.owner.thread, p.owner.security
    ));

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        making: &mut Making<C>,
    ) -> Result<Handle<C>, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { made(Call::WskSocket, outcome, making) }
    }

    /// A socket that nobody takes is closed.
    unsafe fn unread(outcome: Outcome, making: &mut Making<C>) {
        // SAFETY: the caller keeps the same contract.
        drop(unsafe { made(Call::WskSocket, outcome, making) });
    }
}

impl Sealed for OpenConnected {}

impl Function<Making<ConnectionCategory>> for OpenConnected {
    type Operation = OpeningConnected;

    fn put(
        self,
        (): (),
        lent: Loan<Making<ConnectionCategory>>,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<ConnectedParameters, Error> {
        // SAFETY: what is lent is there, and nobody else uses it.
        let making = unsafe { &mut *lent.place().as_ptr() };
        let family = making.family();
        self.to.put(family, true, &mut arguments.address)?;
        self.local.put(family, false, &mut making.local)?;
        let (context, callbacks) = making.callbacks();
        Ok(ConnectedParameters {
            table: making.capture().dispatch()?,
            client: making.capture().client(),
            protocol: protocol_of(family, ConnectionCategory::PROTOCOL),
            // SAFETY: what is lent stays where it is.
            local: unsafe { Making::local_place(lent.place()) },
            remote: places.address(),
            context,
            callbacks,
            owner: making.owner(),
        })
    }
}

impl Sealed for OpeningConnected {}

// SAFETY: one call is made, whose parameters point at the arguments and at what the socket is made of, which is carried.
unsafe impl Operation<Making<ConnectionCategory>> for OpeningConnected {
    type Way = Own;
    type Output = ConnectedSocket;
    type Target<'s> = ();
    type Parameters = ConnectedParameters;
    const CALL: Call = Call::WskSocketConnect;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn capture<'a, 't: 'a>((): (), making: &'a Making<ConnectionCategory>) -> &'a Shared<Capture> {
        making.capture()
    }

    // As for `WskSocket`; the addresses are in the arguments and in what is carried.
    submitted!(ConnectedParameters: p => p.table.wsk_socket_connect(
        p.client, SOCK_STREAM, p.protocol, p.local, p.remote,
        p.context, p.callbacks, p.owner.process, p.owner.thread, p.owner.security
    ));

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        making: &mut Making<ConnectionCategory>,
    ) -> Result<ConnectedSocket, Error> {
        // SAFETY: the caller keeps the same contract.
        let handle = unsafe { made(Call::WskSocketConnect, outcome, making) }?;
        // INVARIANT: WSK has connected it.
        Ok(ConnectedSocket { handle })
    }

    /// A socket that nobody takes is closed.
    unsafe fn unread(outcome: Outcome, making: &mut Making<ConnectionCategory>) {
        // SAFETY: the caller keeps the same contract.
        drop(unsafe { made(Call::WskSocketConnect, outcome, making) });
    }
}

impl Request<'static, OpenConnected, Making<ConnectionCategory>> {
    /// Binds the socket to this local address, instead of any.
    pub fn bound_to(self, local: impl Into<Endpoint>) -> Self {
        Self {
            function: OpenConnected {
                local: local.into(),
                ..self.function
            },
            ..self
        }
    }
}
