//! Listening sockets: WSK's category behind `WSK_PROVIDER_LISTEN_DISPATCH`, which accepts TCP connections.

use core::net::SocketAddr;
use core::time::Duration;

use wsk_sys::{
    IPPROTO, SOCK_STREAM, WSK_CLIENT_LISTEN_DISPATCH, WSK_EVENT_ACCEPT, WSK_FLAG_LISTEN_SOCKET,
    WskProviderListenDispatch,
};

use crate::address::{self, Family};
use crate::connection::{AwaitedConnection, ConnectedSocket, ConnectionEvents, connected};
use crate::error::{Call, Error};
use crate::in_flight::{InFlight, Operation, sealed};
use crate::irql::require_passive;
use crate::operation::{Arguments, Idle, Outcome};
use crate::registration::Provider;
use crate::socket::{
    Awaited, Handle, Prepared, address_of, bound_by_address, category, controlled, make,
    start_making,
};
use crate::stream_events::{self, AcceptEvent, ConnectionEvent};

category! {
    /// Listening sockets, for TCP.
    pub(crate) ListenCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_LISTEN_SOCKET,
    WskProviderListenDispatch, WSK_CLIENT_LISTEN_DISPATCH
}

/// A connection being waited for.
pub type Accept = InFlight<Accepting>;

/// A socket that accepts TCP connections, from when it is bound.
///
/// A handle: clones stand for the same socket, which closes when the last of them is dropped. Dropping never waits and is
/// allowed at any IRQL up to `DISPATCH_LEVEL`; [`close`](Self::close) waits until WSK is done with the socket. Connections that
/// were accepted are sockets of their own, and stay.
///
/// Connections are accepted one by one by [`accept`](Self::accept) and [`start_accept`](Self::start_accept), or by
/// [events](AcceptEvent).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::{Ipv4Addr, SocketAddr};
/// use wsk::{Family, ListenSocket, NonPagedBuffer};
///
/// let listener = ListenSocket::open(&provider, Family::V4)?;
/// listener.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
/// let local = listener.local_address()?;
/// # let peer = std::net::TcpStream::connect(local).unwrap();
///
/// let (socket, from) = listener.accept()?;
/// # assert_eq!(from, peer.local_addr().unwrap());
/// socket.send(&NonPagedBuffer::copy_of(b"welcome")?)?;
/// # let mut got = [0; 7];
/// # std::io::Read::read_exact(&mut &peer, &mut got).unwrap();
/// # assert_eq!(&got, b"welcome");
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Clone)]
pub struct ListenSocket {
    socket: Handle<ListenCategory>,
}

bound_by_address! {
    /// The socket listens there from then on.
    ListenSocket
}
controlled!(ListenSocket);

impl ListenSocket {
    /// Opens a socket, which listens once it is bound. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// Allocates the socket's state and operations, one of them for closing, which can therefore not fail for want of memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        let socket = Handle::open(provider, family, None)?;
        Ok(Self { socket })
    }

    /// Opens a socket whose connections are told to `handler`, once events are [enabled](Self::enable_accept_events). IRQL:
    /// `PASSIVE_LEVEL`; waits.
    ///
    /// Allocates what [`open`](Self::open) does, and room for the handler. The handler is dropped when the socket's close has
    /// completed and its last operation is gone, at up to `DISPATCH_LEVEL`.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[doc(alias = "WskSocket")]
    pub fn open_with_events<H: AcceptEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        require_passive()?;
        let events = stream_events::of_listener(handler)?;
        let socket = Handle::open(provider, family, Some(events))?;
        Ok(Self { socket })
    }

    /// Another handle of a socket that is still open.
    pub(crate) fn from_handle(socket: Handle<ListenCategory>) -> Self {
        Self { socket }
    }

    /// Waits for a connection; its socket, and the address of the other side. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Allocates an operation, and the state and operations of the socket.
    ///
    /// [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NotBound`], [`Error::NoMemory`], or what WSK says.
    #[doc(alias = "WskAccept")]
    pub fn accept(&self) -> Result<(ConnectedSocket, SocketAddr), Error> {
        self.accept_within(None, None)
    }

    /// [`accept`](Self::accept), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `accept`, [`Error::TimedOut`]. A cancelled request is waited for too, so that nothing is in flight
    /// afterwards; a connection that came at the last moment is returned.
    #[doc(alias = "WskAccept")]
    pub fn accept_timeout(&self, limit: Duration) -> Result<(ConnectedSocket, SocketAddr), Error> {
        self.accept_within(None, Some(limit))
    }

    /// [`accept`](Self::accept) for a connection whose events are told to `handler`, once they are
    /// [enabled](ConnectedSocket::enable_events). IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// Allocates room for the handler too.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    #[doc(alias = "WskAccept")]
    pub fn accept_with_events<H: ConnectionEvent>(
        &self,
        handler: H,
    ) -> Result<(ConnectedSocket, SocketAddr), Error> {
        require_passive()?;
        self.accept_within(Some(stream_events::of_connection(handler)?), None)
    }

    fn accept_within(
        &self,
        events: Option<ConnectionEvents>,
        limit: Option<Duration>,
    ) -> Result<(ConnectedSocket, SocketAddr), Error> {
        require_passive()?;
        let (operation, awaited) = self.prepare(events)?;
        let (context, callbacks) = awaited.callbacks();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let call = Call::WskAccept;
        // SAFETY: the socket is open while this handle is; the request ends in a connection socket with the callbacks of
        // `awaited`.
        let (mut operation, socket) = unsafe {
            make(operation, awaited, call, limit, |irp, arguments, _| {
                let remote = Some(address_of(arguments));
                Ok(table.wsk_accept(socket, context, callbacks, None, remote, irp)?)
            })
        }?;
        let remote = address::read(&operation.arguments().address)?;
        Ok((ConnectedSocket::from_handle(socket), remote))
    }

    /// Starts to wait for a connection, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Ends in what [`accept`](Self::accept) gives. The operation is a future, and can be waited for, polled, cancelled, dropped
    /// or forgotten. Dropping it cancels it; a connection that comes all the same is closed. Allocates what
    /// [`accept`](Self::accept) does.
    ///
    /// [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept).
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept) that are found before WSK has taken the request.
    #[doc(alias = "WskAccept")]
    pub fn start_accept(&self) -> Result<Accept, Error> {
        self.start_accept_within(None)
    }

    /// [`start_accept`](Self::start_accept) for a connection whose events are told to `handler`, once they are
    /// [enabled](ConnectedSocket::enable_events). IRQL: `<= DISPATCH_LEVEL`. Allocates room for the handler too.
    ///
    /// # Errors
    ///
    /// Those of [`start_accept`](Self::start_accept).
    #[doc(alias = "WskAccept")]
    pub fn start_accept_with_events<H: ConnectionEvent>(
        &self,
        handler: H,
    ) -> Result<Accept, Error> {
        self.start_accept_within(Some(stream_events::of_connection(handler)?))
    }

    fn start_accept_within(&self, events: Option<ConnectionEvents>) -> Result<Accept, Error> {
        let (operation, awaited) = self.prepare(events)?;
        let (context, callbacks) = awaited.callbacks();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is; the request ends in a connection socket with the callbacks of `awaited`.
        let flight = unsafe {
            start_making(operation, awaited, |irp, arguments, _| {
                let remote = Some(address_of(arguments));
                Ok(table.wsk_accept(socket, context, callbacks, None, remote, irp)?)
            })
        }?;
        Ok(InFlight::started(flight))
    }

    fn prepare(
        &self,
        events: Option<ConnectionEvents>,
    ) -> Result<(Idle<AwaitedConnection>, AwaitedConnection), Error> {
        self.socket.require_bound()?;
        let prepared = Prepared::new(&self.socket.capture, self.socket.family, events)?;
        let mut operation = Idle::new()?;
        operation.arguments().address.ss_family = 0;
        Ok((operation, Awaited::new(prepared, true)))
    }

    /// Has WSK call the handler when a connection has come that no [`accept`](Self::accept) waits for, which may be before this
    /// returns. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`]; or what WSK says.
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn enable_accept_events(&self) -> Result<(), Error> {
        self.socket.enable_events(WSK_EVENT_ACCEPT)
    }

    /// Has WSK no longer call the handler; waits until calls that are under way have returned. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was opened without a handler; [`Error::NotBound`], [`Error::WrongIrql`],
    /// [`Error::NoMemory`]; or what WSK says.
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn disable_accept_events(&self) -> Result<(), Error> {
        self.socket.disable_events(WSK_EVENT_ACCEPT)
    }

    /// Closes the socket and waits until WSK is done with it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Connections that were not accepted yet are aborted.
    ///
    /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when there are other handles: the socket closes when the last is dropped. [`Error::WrongIrql`]: it
    /// closes without being waited for. Else what WSK says; the socket is gone in any case.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        self.socket.close()
    }
}

/// [`Accept`] as an [`Operation`].
#[derive(Debug)]
pub struct Accepting(());

impl sealed::Sealed for Accepting {}

impl Operation for Accepting {
    type Output = Result<(ConnectedSocket, SocketAddr), Error>;
    type Payload = AwaitedConnection;
    const CALL: Call = Call::WskAccept;
    const CANCEL_ON_DROP: bool = true;

    fn end(
        payload: AwaitedConnection,
        call: Call,
        outcome: Outcome,
        arguments: &Arguments,
    ) -> Self::Output {
        let socket = connected(payload, call, outcome)?;
        Ok((socket, address::read(&arguments.address)?))
    }

    fn lost(error: Error) -> Self::Output {
        Err(error)
    }
}
