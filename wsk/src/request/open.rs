//! [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket) and
//! [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect): create a
//! socket, and perhaps bind and connect it.

use core::marker::PhantomData;

use crate::address::Family;
use crate::buffer::carry::{Ingredient, Lending};
use crate::endpoint::Endpoint;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::calls::{Bound, OfCarried, SocketCall, SocketConnectCall};
use crate::socket::{Category, ConnectedSocket, ConnectionCategory, Handle, Making};

/// The request to open a socket.
#[derive(Debug)]
pub struct Open(());

/// The operation that opens a socket, which the types of handles name.
#[derive(Debug)]
pub struct Opening<C>(PhantomData<fn() -> C>);

/// The request of [`ConnectedSocket::connect`](crate::ConnectedSocket::connect): creates, binds and connects a socket.
#[derive(Debug)]
pub struct OpenConnected {
    to: Endpoint,
    local: Endpoint,
}

/// The operation of [`ConnectedSocket::connect`](crate::ConnectedSocket::connect), which the types of handles name.
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

pub(crate) fn open<C: Category>(making: Making<C>) -> Request<'static, Open, Making<C>> {
    Request {
        target: (),
        function: Open(()),
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

/// The socket that a successful request has created. If nobody takes the socket, it is closed.
pub(super) fn made<C: Category>(
    call: Call,
    outcome: Outcome,
    making: &mut Making<C>,
) -> Result<Handle<C>, Error> {
    outcome.check(call)?;
    making.take().ok_or(Error::Call {
        call,
        status: outcome.status,
    })
}

impl Sealed for Open {}

impl<C: Category> Function<Making<C>> for Open {
    type Operation = Opening<C>;

    fn put<'x>(
        self,
        (): (),
        lent: Lending<'x, Making<C>>,
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, SocketCall<C>>, Error> {
        Ok(SocketCall::new(lent.lend()))
    }
}

impl<C> Sealed for Opening<C> {}

impl<C: Category> Operation<Making<C>> for Opening<C> {
    type Way = Own;
    type Output = Handle<C>;
    type Asked = OfCarried;
    type Parameters = SocketCall<C>;
    const CALL: Call = Call::WskSocket;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        making: &mut Making<C>,
    ) -> Result<Handle<C>, Error> {
        made(Call::WskSocket, outcome, making)
    }
}

impl Sealed for OpenConnected {}

impl Function<Making<ConnectionCategory>> for OpenConnected {
    type Operation = OpeningConnected;

    fn put<'x>(
        self,
        (): (),
        mut lent: Lending<'x, Making<ConnectionCategory>>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SocketConnectCall>, Error> {
        let family = lent.family();
        self.to.put(family, true, &mut arguments.address)?;
        self.local.put(family, false, &mut lent.own)?;
        Ok(SocketConnectCall::new(lent.lend(), places))
    }
}

impl Sealed for OpeningConnected {}

impl Operation<Making<ConnectionCategory>> for OpeningConnected {
    type Way = Own;
    type Output = ConnectedSocket;
    type Asked = OfCarried;
    type Parameters = SocketConnectCall;
    const CALL: Call = Call::WskSocketConnect;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        making: &mut Making<ConnectionCategory>,
    ) -> Result<ConnectedSocket, Error> {
        let handle = made(Call::WskSocketConnect, outcome, making)?;
        // INVARIANT: WSK has connected the socket.
        Ok(ConnectedSocket { handle })
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
