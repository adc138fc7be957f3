//! [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect): connects a bound socket.

use core::fmt;

use crate::buffer::carry::{Ingredient, Lending};
use crate::endpoint::Endpoint;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Operation, Own, Request, Way};
use crate::socket::calls::{Bound, ConnectCall, OfCarried};
use crate::socket::{ConnectedSocket, ConnectionCategory, ConnectionSocket, Handle};

/// The request of [`ConnectionSocket::connect`](crate::ConnectionSocket::connect).
#[derive(Debug)]
pub struct Connect {
    to: Endpoint,
}

/// The operation of [`ConnectionSocket::connect`](crate::ConnectionSocket::connect), which the types of handles name.
///
/// ```
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = listener.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::Connecting;
/// use wsk::{ConnectionSocket, Family};
///
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(Family::V4.any())?;
/// let connecting: InFlight<Connecting, ConnectionSocket> = socket.connect(remote).start()?;
/// let connected = connecting.wait().map_err(|(error, _)| error)??;
/// # drop((connected, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Connecting;

pub(crate) fn connect(
    socket: ConnectionSocket,
    to: Endpoint,
) -> Request<'static, Connect, ConnectionSocket> {
    Request {
        target: (),
        function: Connect { to },
        carried: socket,
    }
}

/// A socket that was not connected, and why.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let server = listener.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::{ConnectionSocket, Family};
///
/// # drop(listener);
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(Family::V4.any())?;
/// let refused = socket.connect(server).wait().map(drop).unwrap_err();
/// println!("{}", refused.error);
/// if let Some(socket) = refused.socket {
///     socket.close()?;
/// }
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct NotConnected {
    /// The reason.
    pub error: Error,
    /// The socket. It is `None` after [`Error::Abandoned`] of an operation that was started (the provider may still use the
    /// socket), after [`Error::Taken`] (the socket was returned before), and if a scope keeps it. Not every provider lets a
    /// socket connect after a failure: if not, close it and open another.
    pub socket: Option<ConnectionSocket>,
}

impl fmt::Debug for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotConnected")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for NotConnected {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<NotConnected> for Error {
    fn from(not_connected: NotConnected) -> Self {
        not_connected.error
    }
}

/// Carries a socket, and returns it connected, or with an error.
#[derive(Debug)]
pub struct ASocket;

impl Ingredient for ConnectionSocket {}

impl Way<ConnectionSocket> for ASocket {
    type Carry = Own;
    type Waited<T> = Result<ConnectedSocket, NotConnected>;
    type Finished<T> = Result<ConnectedSocket, NotConnected>;
    type Scoped<T> = Result<ConnectedSocket, NotConnected>;
    type NotStarted = NotConnected;

    fn waited<T>(result: Result<T, Error>, socket: ConnectionSocket) -> Self::Waited<T> {
        Self::finished(result, Some(socket))
    }

    fn finished<T>(
        result: Result<T, Error>,
        socket: Option<ConnectionSocket>,
    ) -> Self::Finished<T> {
        match (result, socket) {
            (Ok(_), Some(socket)) => socket.into_connected().map_err(|socket| NotConnected {
                error: Error::Taken,
                socket: Some(socket),
            }),
            (Ok(_), None) => Err(NotConnected {
                error: Error::Taken,
                socket: None,
            }),
            (Err(error), socket) => Err(NotConnected { error, socket }),
        }
    }

    fn scoped<T>(result: Result<T, Error>, socket: Option<ConnectionSocket>) -> Self::Scoped<T> {
        Self::finished(result, socket)
    }

    fn lost<T>(error: Error, socket: ConnectionSocket) -> Self::Waited<T> {
        Err(NotConnected {
            error,
            socket: Some(socket),
        })
    }

    fn not_started(error: Error, socket: ConnectionSocket) -> NotConnected {
        NotConnected {
            error,
            socket: Some(socket),
        }
    }
}

impl Connect {
    /// Checks that the socket is bound, and puts the remote address into the arguments.
    pub(super) fn put_address(
        &self,
        socket: &Handle<ConnectionCategory>,
        arguments: &mut Arguments,
    ) -> Result<(), Error> {
        socket.require_bound()?;
        self.to.put(socket.family(), true, &mut arguments.address)
    }
}

impl Sealed for Connect {}

impl Function<ConnectionSocket> for Connect {
    type Operation = Connecting;

    fn put<'x>(
        self,
        (): (),
        lent: Lending<'x, ConnectionSocket>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ConnectCall>, Error> {
        self.put_address(&lent.handle, arguments)?;
        Ok(ConnectCall::new(lent.lend(), places))
    }
}

impl Sealed for Connecting {}

impl Operation<ConnectionSocket> for Connecting {
    type Way = ASocket;
    type Run = InPlace;
    type Output = ();
    type Asked = OfCarried;
    type Parameters = ConnectCall;
    const CALL: Call = Call::WskConnect;
    const CANCEL_ON_DROP: bool = true;

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        socket: &mut ConnectionSocket,
    ) -> Result<(), Error> {
        outcome.check(Call::WskConnect)?;
        socket.set_connected();
        Ok(())
    }
}
