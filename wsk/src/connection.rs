//! Connection sockets: WSK's category behind `WSK_PROVIDER_CONNECTION_DISPATCH`, for TCP.

use core::ffi::c_void;
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use core::time::Duration;

use wsk_sys::{
    IPPROTO, IRP, NTSTATUS, SOCK_STREAM, WSK_CLIENT_CONNECTION_DISPATCH, WSK_FLAG_ABORTIVE,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DRAIN, WSK_FLAG_NODELAY, WSK_FLAG_WAITALL,
    WskProviderConnectionDispatch,
};

use crate::address::{self, Family};
use crate::buffer::{Extent, Inside, Lock, ReceiveBuffer, SendBuffer};
use crate::error::{Call, Error};
use crate::event_context::Events;
use crate::in_flight::{Carried, InFlight, NotStarted, Operation, sealed, transfers};
use crate::irql::require_passive;
use crate::operation::{Arguments, Flight, Idle, Outcome, Payload};
use crate::registration::Provider;
use crate::scope::{Read, Scope, ScopedReceive, ScopedSend};
use crate::socket::{
    Awaited, Handle, IsEnd, Prepared, address_of, bound_by_address, buffer_of, category,
    controlled, make, start_making,
};

category! {
    /// Connection sockets, for TCP.
    pub ConnectionCategory: SOCK_STREAM, IPPROTO::IPPROTO_TCP, WSK_FLAG_CONNECTION_SOCKET,
    WskProviderConnectionDispatch, WSK_CLIENT_CONNECTION_DISPATCH
}

/// A connection socket that WSK makes.
pub(crate) type AwaitedConnection = Awaited<ConnectionCategory>;

/// The events of a connection, ready for WSK.
pub(crate) type ConnectionEvents = Events<WSK_CLIENT_CONNECTION_DISPATCH>;

transfers! {
    /// [`StreamSend`] as an [`Operation`].
    StreamSending by WskSend -> usize, cancelled on drop: false, moved;
    /// [`StreamReceive`] as an [`Operation`].
    StreamReceiving by WskReceive -> usize, cancelled on drop: true, moved;
    /// [`Disconnect`] as an [`Operation`].
    Disconnecting by WskDisconnect -> (), cancelled on drop: false, |call, outcome, _| outcome.check(call);
}

/// Bytes being sent over a connection.
pub type StreamSend<B> = InFlight<StreamSending<B>>;

/// Bytes of a connection being waited for.
pub type StreamReceive<B> = InFlight<StreamReceiving<B>>;

/// A connection being disconnected, after the bytes of a last buffer `B`.
pub type Disconnect<B = ()> = InFlight<Disconnecting<B>>;

/// A connection being made, by [`ConnectionSocket::start_connect`].
pub type Connect = InFlight<Connecting>;

/// A connection being made, by [`ConnectedSocket::start_connect`].
pub type Open = InFlight<Opening>;

/// A socket for TCP that is not connected yet.
///
/// It can neither send nor receive: [`connect`](Self::connect) turns it into a [`ConnectedSocket`], which can. To connect
/// without setting options first, [`ConnectedSocket::connect`] is one call for all.
///
/// Dropping it closes it, without waiting, at any IRQL up to `DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::{Ipv4Addr, SocketAddr};
/// use wsk::{ConnectionSocket, Family, NonPagedBuffer};
///
/// let socket = ConnectionSocket::open(&provider, Family::V4)?;
/// socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
/// let connected = socket.connect(remote).map_err(|(error, _)| error)?;
/// # let (mut peer, _) = peer.accept().unwrap();
///
/// connected.send(&NonPagedBuffer::copy_of(b"hello")?)?;
/// connected.disconnect()?;
/// # let mut got = Vec::new();
/// # std::io::Read::read_to_end(&mut peer, &mut got).unwrap();
/// # assert_eq!(got, b"hello");
/// # drop((connected, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct ConnectionSocket {
    socket: Handle<ConnectionCategory>,
}

bound_by_address!(ConnectionSocket);
controlled!(ConnectionSocket);

impl ConnectionSocket {
    /// Opens a socket, which has to be bound before it can be connected. IRQL: `PASSIVE_LEVEL`; waits.
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

    pub(crate) fn open_within(
        provider: &Provider,
        family: Family,
        events: ConnectionEvents,
    ) -> Result<Self, Error> {
        let socket = Handle::open(provider, family, Some(events))?;
        Ok(Self { socket })
    }

    /// Connects and waits until the connection stands. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect).
    ///
    /// # Errors
    ///
    /// With the socket: [`Error::WrongIrql`], [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`],
    /// [`Error::NoMemory`], or what WSK says, such as `STATUS_CONNECTION_REFUSED`. Not every provider lets a socket connect after
    /// a failure: close it then and open another.
    #[doc(alias = "WskConnect")]
    pub fn connect(self, remote: SocketAddr) -> Result<ConnectedSocket, (Error, Self)> {
        self.connect_within(remote, None)
    }

    /// [`connect`](Self::connect), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `connect`, [`Error::TimedOut`]: close the socket then.
    #[doc(alias = "WskConnect")]
    pub fn connect_timeout(
        self,
        remote: SocketAddr,
        limit: Duration,
    ) -> Result<ConnectedSocket, (Error, Self)> {
        self.connect_within(remote, Some(limit))
    }

    fn connect_within(
        self,
        remote: SocketAddr,
        limit: Option<Duration>,
    ) -> Result<ConnectedSocket, (Error, Self)> {
        match self.connect_socket(remote, limit) {
            // INVARIANT: connected.
            Ok(()) => Ok(ConnectedSocket {
                socket: self.socket,
            }),
            Err(error) => Err((error, self)),
        }
    }

    fn connect_socket(&self, remote: SocketAddr, limit: Option<Duration>) -> Result<(), Error> {
        require_passive()?;
        self.socket.require_bound()?;
        check_remote(self.socket.family, remote)?;
        let mut operation = self.socket.operation()?;
        self.socket
            .family
            .write(remote, &mut operation.arguments().address);
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is in the arguments.
        unsafe {
            self.socket.request(
                operation,
                Call::WskConnect,
                (),
                limit,
                |irp, arguments| Ok(table.wsk_connect(socket, address_of(arguments), irp)?),
                |outcome, _| outcome.check(Call::WskConnect),
            )
        }
    }

    /// Starts to connect, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
    ///
    /// The socket moves into the operation, which ends in a [`ConnectedSocket`], or in an error with the socket. Dropping the
    /// operation cancels it; the socket is closed when it has completed.
    ///
    /// [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect).
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) that are found before WSK has taken the request, with the socket.
    #[doc(alias = "WskConnect")]
    pub fn start_connect(self, remote: SocketAddr) -> Result<Connect, (Error, Self)> {
        let checked = self
            .socket
            .require_bound()
            .and_then(|()| check_remote(self.socket.family, remote))
            .and_then(|()| Idle::<ConnectingSocket>::new());
        let mut operation = match checked {
            Ok(operation) => operation,
            Err(error) => return Err((error, self)),
        };
        self.socket
            .family
            .write(remote, &mut operation.arguments().address);
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let observer = self.socket.hold_capture();
        // SAFETY: the payload is the socket's one handle, so it is open while the operation is in flight; the address is in the
        // arguments.
        let started = unsafe {
            let payload = ConnectingSocket(self);
            operation.start(payload, Some(observer), |irp, arguments, _| {
                Ok(table.wsk_connect(socket, address_of(arguments), irp)?)
            })
        };
        match started {
            Ok(flight) => Ok(InFlight::started(flight)),
            Err(refused) => Err((refused.error, refused.payload.0)),
        }
    }

    /// Closes the socket and waits until WSK is done with it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`]: it closes without being waited for. Else what WSK says; the socket is gone in any case.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Result<(), Error> {
        self.socket.close()
    }
}

/// What a socket being connected is meanwhile.
#[derive(Debug)]
pub struct ConnectingSocket(ConnectionSocket);

impl Payload for ConnectingSocket {}

/// [`Connect`] as an [`Operation`].
#[derive(Debug)]
pub struct Connecting(());

impl sealed::Sealed for Connecting {}

impl Operation for Connecting {
    /// The connection, or why there is none, with the socket; without it only after [`Error::Abandoned`], when the provider may
    /// still use it.
    type Output = Result<ConnectedSocket, (Error, Option<ConnectionSocket>)>;
    type Payload = ConnectingSocket;
    const CALL: Call = Call::WskConnect;
    const CANCEL_ON_DROP: bool = true;

    fn end(payload: ConnectingSocket, call: Call, outcome: Outcome, _: &Arguments) -> Self::Output {
        match outcome.check(call) {
            // INVARIANT: connected.
            Ok(()) => Ok(ConnectedSocket {
                socket: payload.0.socket,
            }),
            Err(error) => Err((error, Some(payload.0))),
        }
    }

    fn lost(error: Error) -> Self::Output {
        Err((error, None))
    }
}

/// [`Open`] as an [`Operation`].
#[derive(Debug)]
pub struct Opening(());

impl sealed::Sealed for Opening {}

impl Operation for Opening {
    type Output = Result<ConnectedSocket, Error>;
    type Payload = AwaitedConnection;
    const CALL: Call = Call::WskSocketConnect;
    const CANCEL_ON_DROP: bool = true;

    fn end(
        payload: AwaitedConnection,
        call: Call,
        outcome: Outcome,
        _: &Arguments,
    ) -> Self::Output {
        connected(payload, call, outcome)
    }

    fn lost(error: Error) -> Self::Output {
        Err(error)
    }
}

/// The connected socket that a completed request has made.
pub(crate) fn connected(
    awaited: AwaitedConnection,
    call: Call,
    outcome: Outcome,
) -> Result<ConnectedSocket, Error> {
    let mut awaited = awaited;
    outcome.check(call)?;
    let nothing = Error::Call {
        call,
        status: outcome.status,
    };
    let socket = awaited.take().ok_or(nothing)?;
    // INVARIANT: callers' requests end in connections.
    Ok(ConnectedSocket { socket })
}

/// A socket for TCP that is, or was, connected.
///
/// A handle: clones stand for the same socket, which closes when the last of them is dropped. Dropping never waits and is
/// allowed at any IRQL up to `DISPATCH_LEVEL`; [`close`](Self::close) waits until WSK is done with the socket. Closing a socket
/// that is not disconnected in both directions aborts the connection: what was sent may be lost, and the other side sees a
/// reset. End in good order with [`disconnect`](Self::disconnect), and receive until there is nothing more.
///
/// Sends and receives may run at the same time, on any threads; several sends are sent, and several receives filled, in the
/// order in which they were started. Operations in flight do not keep the socket open: closing it completes them, with
/// `STATUS_CANCELLED` where they were not done.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let peer = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut peer, _) = peer.accept().unwrap();
/// #     peer.write_all(b"welcome").unwrap();
/// #     assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
/// # });
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::{ConnectedSocket, NonPagedBuffer};
///
/// let socket = ConnectedSocket::connect(&provider, remote)?;
/// socket.disconnect()?;
/// let mut buffer = NonPagedBuffer::new(512)?;
/// let mut greeting = 0;
/// loop {
///     match socket.receive(&mut buffer)? {
///         0 => break,
///         more => greeting += more,
///     }
/// }
/// assert_eq!(greeting, 7);
/// socket.close()?;
/// # peer.join().unwrap();
/// # drop((buffer, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// WSK has connected the socket, or accepted it.
#[derive(Clone)]
pub struct ConnectedSocket {
    socket: Handle<ConnectionCategory>,
}

controlled!(ConnectedSocket);

impl ConnectedSocket {
    /// Opens a socket, binds it to any local address, connects it, and waits until the connection stands. IRQL:
    /// `PASSIVE_LEVEL`.
    ///
    /// Allocates the socket's state and operations, one of them for closing, which can therefore not fail for want of memory.
    ///
    /// [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::PortZero`], [`Error::NoMemory`], or what WSK says, such as `STATUS_CONNECTION_REFUSED`.
    #[doc(alias = "WskSocketConnect")]
    pub fn connect(provider: &Provider, remote: SocketAddr) -> Result<Self, Error> {
        Self::connect_within(provider, remote, None, None)
    }

    /// [`connect`](Self::connect), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `connect`, [`Error::TimedOut`]. If the connection was made at the last moment that is no error.
    #[doc(alias = "WskSocketConnect")]
    pub fn connect_timeout(
        provider: &Provider,
        remote: SocketAddr,
        limit: Duration,
    ) -> Result<Self, Error> {
        Self::connect_within(provider, remote, None, Some(limit))
    }

    pub(crate) fn connect_within(
        provider: &Provider,
        remote: SocketAddr,
        events: Option<ConnectionEvents>,
        limit: Option<Duration>,
    ) -> Result<Self, Error> {
        require_passive()?;
        let (operation, awaited, places) = Self::prepare(provider, remote, events)?;
        let call = Call::WskSocketConnect;
        // SAFETY: the request ends in a connection socket with the callbacks of `awaited`.
        let (_, socket) = unsafe {
            make(
                operation,
                awaited,
                call,
                limit,
                |irp, arguments, awaited| places.invoke(arguments, awaited, irp),
            )
        }?;
        // INVARIANT: connected.
        Ok(Self { socket })
    }

    /// Starts to open and connect a socket, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates what
    /// [`connect`](Self::connect) does.
    ///
    /// Dropping the operation cancels it; a connection that is made all the same is closed.
    ///
    /// [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect).
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) that are found before WSK has taken the request.
    #[doc(alias = "WskSocketConnect")]
    pub fn start_connect(provider: &Provider, remote: SocketAddr) -> Result<Open, Error> {
        Self::start_connect_within(provider, remote, None)
    }

    pub(crate) fn start_connect_within(
        provider: &Provider,
        remote: SocketAddr,
        events: Option<ConnectionEvents>,
    ) -> Result<Open, Error> {
        let (operation, awaited, places) = Self::prepare(provider, remote, events)?;
        // SAFETY: the request ends in a connection socket with the callbacks of `awaited`.
        let flight = unsafe {
            start_making(operation, awaited, |irp, arguments, awaited| {
                places.invoke(arguments, awaited, irp)
            })
        }?;
        Ok(InFlight::started(flight))
    }

    fn prepare(
        provider: &Provider,
        remote: SocketAddr,
        events: Option<ConnectionEvents>,
    ) -> Result<(Idle<AwaitedConnection>, AwaitedConnection, Places), Error> {
        let family = Family::of(&remote);
        check_remote(family, remote)?;
        let capture = provider.capture();
        let (client, table) = (capture.client()?, capture.dispatch()?);
        let prepared = Prepared::new(capture, family, events)?;
        let (context, callbacks) = prepared.callbacks();
        let mut awaited = Awaited::new(prepared, true);
        family.write(family.any(), &mut awaited.address);
        let mut operation = Idle::new()?;
        family.write(remote, &mut operation.arguments().address);
        let places = Places {
            client,
            table,
            context,
            callbacks,
        };
        Ok((operation, awaited, places))
    }

    /// Another handle of a socket that WSK has connected or accepted.
    pub(crate) fn from_handle(socket: Handle<ConnectionCategory>) -> Self {
        // INVARIANT: callers have it from WSK so.
        Self { socket }
    }

    pub(crate) fn handle(&self) -> &Handle<ConnectionCategory> {
        &self.socket
    }

    /// The local address of the connection. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says.
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        self.socket.local_address()
    }

    /// The address of the other side. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// [`WskGetRemoteAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or what WSK says, such as when the connection is no more.
    #[doc(alias = "WskGetRemoteAddress")]
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        require_passive()?;
        let mut operation = self.socket.operation()?;
        operation.arguments().address.ss_family = 0;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the address is written into the arguments.
        unsafe {
            self.socket.request(
                operation,
                Call::WskGetRemoteAddress,
                (),
                None,
                |irp, arguments| {
                    Ok(table.wsk_get_remote_address(socket, address_of(arguments), irp)?)
                },
                |outcome, arguments| {
                    outcome.check(Call::WskGetRemoteAddress)?;
                    address::read(&arguments.address)
                },
            )
        }
    }

    /// Whether sends that are started from now on ask the transport to send at once, with what is queued, rather than to
    /// gather small amounts. They do not unless told to. IRQL: `<= DISPATCH_LEVEL`.
    #[doc(alias("WSK_FLAG_NODELAY", "TCP_NODELAY"))]
    pub fn set_no_delay(&self, no_delay: bool) {
        let flags = if no_delay { WSK_FLAG_NODELAY } else { 0 };
        self.socket.send_flags.store(flags, Ordering::Relaxed);
    }

    /// Sends bytes and waits until they have been sent. IRQL: `PASSIVE_LEVEL`.
    ///
    /// WSK does not buffer: the call returns when the transport is done with the bytes, all of them, or has failed. The result
    /// is their number. Allocates an operation only when another thread is using the socket's own at that moment, and an MDL
    /// for memory that has none.
    ///
    /// [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send).
    ///
    /// # Errors
    ///
    /// Before the kernel is called: [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::ControlFull`] for a buffer with control
    /// information, of which a connection takes none. Else what WSK says, such as `STATUS_CONNECTION_RESET`; how much of the
    /// bytes went out is then unknown.
    #[doc(alias = "WskSend")]
    pub fn send<B: SendBuffer + ?Sized>(&self, buffer: &B) -> Result<usize, Error> {
        self.send_within(buffer, None)
    }

    /// [`send`](Self::send), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `send`, [`Error::TimedOut`]: how much of the bytes went out is then unknown, so that nothing sensible can
    /// be sent after them. [`abort`](Self::abort) or close. A cancelled send is waited for too, so that nothing is in flight
    /// afterwards; if it was done at the last moment that is no error.
    #[doc(alias = "WskSend")]
    pub fn send_timeout<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.send_within(buffer, Some(limit))
    }

    fn send_within<B: SendBuffer + ?Sized>(
        &self,
        buffer: &B,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        require_passive()?;
        let lock = buffer.lock()?;
        let mut operation = self.socket.operation()?;
        lend(&lock, operation.arguments())?;
        let flags = self.socket.send_flags.load(Ordering::Relaxed);
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the `WSK_BUF` is in the arguments. The extent is valid until the
        // lock is dropped.
        unsafe {
            self.socket.request(
                operation,
                Call::WskSend,
                lock,
                limit,
                |irp, arguments| Ok(table.wsk_send(socket, buffer_of(arguments), flags, irp)?),
                |outcome, arguments| moved(Call::WskSend, outcome, arguments),
            )
        }
    }

    /// Waits for bytes and receives them: as many as have come, at most those that fit. IRQL: `PASSIVE_LEVEL`.
    ///
    /// 0 is the end: the other side has disconnected in good order, and nothing comes any more. (With an empty buffer it says
    /// nothing.) Allocates an operation only when another thread is using the socket's own at that moment, and an MDL for memory
    /// that has none.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive).
    ///
    /// # Errors
    ///
    /// Before the kernel is called: [`Error::WrongIrql`], [`Error::NoMemory`]. Else what WSK says, such as
    /// `STATUS_CONNECTION_RESET`.
    #[doc(alias = "WskReceive")]
    pub fn receive<B: ReceiveBuffer + ?Sized>(&self, buffer: &mut B) -> Result<usize, Error> {
        self.receive_within(buffer, 0, None)
    }

    /// [`receive`](Self::receive), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `receive`, [`Error::TimedOut`]. A cancelled receive is waited for too, so that nothing is in flight
    /// afterwards; what came at the last moment is returned.
    #[doc(alias = "WskReceive")]
    pub fn receive_timeout<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.receive_within(buffer, 0, Some(limit))
    }

    /// Waits until the buffer is full. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Less than its length is the end: what came before the other side disconnected in good order. Allocates as
    /// [`receive`](Self::receive) does.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) with
    /// `WSK_FLAG_WAITALL`.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn receive_all<B: ReceiveBuffer + ?Sized>(&self, buffer: &mut B) -> Result<usize, Error> {
        self.receive_within(buffer, WSK_FLAG_WAITALL, None)
    }

    /// [`receive_all`](Self::receive_all), cancelled when `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `receive_all`, [`Error::TimedOut`]. What had come by then may be lost: go on with the connection only if
    /// that does no harm.
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn receive_all_timeout<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: Duration,
    ) -> Result<usize, Error> {
        self.receive_within(buffer, WSK_FLAG_WAITALL, Some(limit))
    }

    fn receive_within<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        flags: u32,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        require_passive()?;
        let lock = buffer.lock_mut()?;
        self.receive_locked(lock, flags, limit)
    }

    fn receive_locked(
        &self,
        lock: Lock<'_>,
        flags: u32,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        let mut operation = self.socket.operation()?;
        operation.arguments().buffer = lock.extent().as_wsk_buf();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the `WSK_BUF` is in the arguments. The extent is valid until the
        // lock is dropped.
        unsafe {
            self.socket.request(
                operation,
                Call::WskReceive,
                lock,
                limit,
                |irp, arguments| Ok(table.wsk_receive(socket, buffer_of(arguments), flags, irp)?),
                |outcome, arguments| moved(Call::WskReceive, outcome, arguments),
            )
        }
    }

    /// Throws away what still comes, until the other side has disconnected, at most for `limit`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) with `WSK_FLAG_DRAIN`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::TimedOut`]; else what WSK says.
    #[doc(alias("WskReceive", "WSK_FLAG_DRAIN"))]
    pub fn drain_timeout(&self, limit: Duration) -> Result<(), Error> {
        require_passive()?;
        // SAFETY: an extent of no bytes names no memory: it is valid for ever.
        let lock = unsafe { Lock::none(Extent::empty()) };
        self.receive_locked(lock, WSK_FLAG_DRAIN, Some(limit))
            .map(|_| ())
    }

    /// Disconnects in good order, and waits until all that was sent has arrived and the other side knows. IRQL:
    /// `PASSIVE_LEVEL`.
    ///
    /// Nothing can be sent any more; what the other side still sends can be received, until it disconnects too. A transport that
    /// cannot get rid of what was sent may take for ever: see [`disconnect_timeout`](Self::disconnect_timeout).
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; else what WSK says.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect(&self) -> Result<(), Error> {
        require_passive()?;
        self.disconnect_within(None, None)
    }

    /// [`disconnect`](Self::disconnect); when `limit` runs out the connection is [aborted](Self::abort). IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Besides those of `disconnect`, [`Error::TimedOut`]: the connection is no more, and what was sent may be lost.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect_timeout(&self, limit: Duration) -> Result<(), Error> {
        require_passive()?;
        self.disconnect_within(None, Some(limit))
    }

    /// Sends the bytes of a last buffer and disconnects, as [`disconnect`](Self::disconnect) does. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Those of [`disconnect`](Self::disconnect); [`Error::ControlFull`] for a buffer with control information.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect_after<B: SendBuffer + ?Sized>(&self, last: &B) -> Result<(), Error> {
        require_passive()?;
        self.disconnect_within(Some(last.lock()?), None)
    }

    /// Sends the bytes of a last buffer and disconnects, as [`disconnect_timeout`](Self::disconnect_timeout) does. IRQL:
    /// `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// Those of [`disconnect_timeout`](Self::disconnect_timeout); [`Error::ControlFull`] for a buffer with control information.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect_after_timeout<B: SendBuffer + ?Sized>(
        &self,
        last: &B,
        limit: Duration,
    ) -> Result<(), Error> {
        require_passive()?;
        self.disconnect_within(Some(last.lock()?), Some(limit))
    }

    fn disconnect_within(
        &self,
        last: Option<Lock<'_>>,
        limit: Option<Duration>,
    ) -> Result<(), Error> {
        let mut operation = self.socket.operation()?;
        if let Some(last) = &last {
            lend(last, operation.arguments())?;
        }
        // Before anything is in flight, so that it cannot fail later.
        let aborting = limit.map(|_| Idle::<()>::new()).transpose()?;
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let has_last = last.is_some();
        let invoke = |irp, arguments| {
            // SAFETY: the socket is open while this handle is; the buffer is in the arguments, which are those of the operation, and
            // locked until the request is done.
            unsafe {
                let last = has_last.then(|| buffer_of(arguments));
                Ok(table.wsk_disconnect(socket, last, 0, irp)?)
            }
        };
        let held = last.unwrap_or_else(|| {
            // SAFETY: an extent of no bytes names no memory: it is valid for ever.
            unsafe { Lock::none(Extent::empty()) }
        });
        let abort = |flight: &Flight<()>| {
            // What it says does not matter: the request that it ends says what became of the connection.
            if let Some(operation) = aborting {
                let _ = self.abort_with(operation);
            }
            flight.cancel();
        };
        let failed: IsEnd = |status| !status.is_success();
        let limit = limit.map(|limit| (limit, abort, failed));
        let call = Call::WskDisconnect;
        // SAFETY: `invoke` passes the IRP on, and what is held is the lock of its buffer.
        unsafe {
            self.socket
                .request_or(operation, call, held, limit, invoke, |outcome, _| {
                    outcome.check(call)
                })
        }
    }

    /// Aborts the connection: what is not sent yet is lost, and the other side sees a reset. IRQL: `PASSIVE_LEVEL`; waits.
    ///
    /// Sends and receives in flight complete with an error. Nothing can be sent or received any more.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect) with
    /// `WSK_FLAG_ABORTIVE`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; else what WSK says.
    #[doc(alias("WskDisconnect", "WSK_FLAG_ABORTIVE"))]
    pub fn abort(&self) -> Result<(), Error> {
        require_passive()?;
        self.abort_with(self.socket.operation()?)
    }

    fn abort_with(&self, operation: Idle<()>) -> Result<(), Error> {
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and there is no buffer.
        unsafe {
            self.socket.request(
                operation,
                Call::WskDisconnect,
                (),
                None,
                |irp, _| Ok(table.wsk_disconnect(socket, None, WSK_FLAG_ABORTIVE, irp)?),
                |outcome, _| outcome.check(Call::WskDisconnect),
            )
        }
    }

    /// Starts to send bytes, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The buffer moves into the operation and comes back with the result; the operation is a future, and can be waited for,
    /// polled, cancelled, dropped or forgotten. Dropping it lets the bytes be sent all the same. Cancelling it leaves it unknown
    /// how much of them went out, as for [`send_timeout`](Self::send_timeout).
    ///
    /// Allocates an operation, unless the buffer comes from a [`Pool`](crate::Pool).
    ///
    /// [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) that are found before WSK has taken the request, with the buffer.
    #[doc(alias = "WskSend")]
    pub fn start_send<B>(&self, buffer: B) -> Result<StreamSend<B>, NotStarted<B>>
    where
        B: SendBuffer + Send + 'static,
    {
        let flags = self.socket.send_flags.load(Ordering::Relaxed);
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let mut buffer = buffer;
        let own = buffer.operation(Inside(()));
        // SAFETY: the socket is open while this handle is. The payload holds the buffer, whose extent is valid until its lock is
        // dropped, which is when the payload is.
        unsafe {
            self.socket
                .start_carrying(buffer, own, |irp, arguments, carried| {
                    lend(Carried::lock(carried)?, &mut *arguments.as_ptr())?;
                    Ok(table.wsk_send(socket, buffer_of(arguments), flags, irp)?)
                })
        }
    }

    /// Starts to receive bytes, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The buffer moves into the operation and comes back with the result, which is that of [`receive`](Self::receive); the
    /// operation is a future, and can be waited for, polled, cancelled, dropped or forgotten. Dropping it cancels it; bytes that
    /// came first are lost.
    ///
    /// Allocates an operation, unless the buffer comes from a [`Pool`](crate::Pool).
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive).
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive) that are found before WSK has taken the request, with the buffer.
    #[doc(alias = "WskReceive")]
    pub fn start_receive<B>(&self, buffer: B) -> Result<StreamReceive<B>, NotStarted<B>>
    where
        B: ReceiveBuffer + Send + 'static,
    {
        self.start_receive_within(buffer, 0)
    }

    /// Starts to receive until the buffer is full, without waiting; the result is that of [`receive_all`](Self::receive_all).
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// All else is as for [`start_receive`](Self::start_receive). Cancelling it loses what has come, as for
    /// [`receive_all_timeout`](Self::receive_all_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`start_receive`](Self::start_receive).
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn start_receive_all<B>(&self, buffer: B) -> Result<StreamReceive<B>, NotStarted<B>>
    where
        B: ReceiveBuffer + Send + 'static,
    {
        self.start_receive_within(buffer, WSK_FLAG_WAITALL)
    }

    fn start_receive_within<B>(
        &self,
        buffer: B,
        flags: u32,
    ) -> Result<StreamReceive<B>, NotStarted<B>>
    where
        B: ReceiveBuffer + Send + 'static,
    {
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let mut buffer = buffer;
        let own = buffer.operation(Inside(()));
        // SAFETY: the socket is open while this handle is. The payload holds the buffer, whose extent is valid until its lock is
        // dropped, which is when the payload is.
        unsafe {
            self.socket
                .start_carrying(buffer, own, |irp, arguments, carried| {
                    let lock = Carried::lock_mut(carried)?;
                    (*arguments.as_ptr()).buffer = lock.extent().as_wsk_buf();
                    Ok(table.wsk_receive(socket, buffer_of(arguments), flags, irp)?)
                })
        }
    }

    /// Has WSK indicate to the handler again what comes, after a [`StreamVerdict`](crate::StreamVerdict) has stopped that.
    /// IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) of no bytes.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], or what WSK says at once.
    #[doc(alias = "WskReceive")]
    pub fn resume_events(&self) -> Result<(), Error> {
        let mut operation = Idle::<()>::new()?;
        operation.arguments().buffer = Extent::empty().as_wsk_buf();
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and the buffer has no bytes.
        let started = unsafe {
            let observer = self.socket.hold_capture();
            operation.start((), Some(observer), |irp, arguments, _| {
                Ok(table.wsk_receive(socket, buffer_of(arguments), 0, irp)?)
            })
        };
        match started {
            Ok(flight) => {
                let status = flight.returned();
                flight.detach();
                if status.is_error() {
                    let call = Call::WskReceive;
                    return Err(Error::Call { call, status });
                }
                Ok(())
            }
            Err(refused) => Err(refused.error),
        }
    }

    /// Starts to disconnect in good order, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
    ///
    /// Dropping the operation lets it go on. Keep the socket until it has completed: closing it before aborts the connection.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect).
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], or that the provider has no such function.
    #[doc(alias = "WskDisconnect")]
    pub fn start_disconnect(&self) -> Result<Disconnect, Error> {
        self.start_disconnect_within(0)
    }

    /// Starts to abort the connection, without waiting. IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect) with
    /// `WSK_FLAG_ABORTIVE`.
    ///
    /// # Errors
    ///
    /// Those of [`start_disconnect`](Self::start_disconnect).
    #[doc(alias("WskDisconnect", "WSK_FLAG_ABORTIVE"))]
    pub fn start_abort(&self) -> Result<Disconnect, Error> {
        self.start_disconnect_within(WSK_FLAG_ABORTIVE)
    }

    fn start_disconnect_within(&self, flags: u32) -> Result<Disconnect, Error> {
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        // SAFETY: the socket is open while this handle is, and there is no buffer.
        let started = unsafe {
            self.socket.start_carrying((), None, |irp, _, _| {
                Ok(table.wsk_disconnect(socket, None, flags, irp)?)
            })
        };
        Ok(started?)
    }

    /// Starts to send the bytes of a last buffer and to disconnect in good order, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The buffer comes back with the result. Allocates an operation, unless the buffer comes from a [`Pool`](crate::Pool). All
    /// else is as for [`start_disconnect`](Self::start_disconnect).
    ///
    /// # Errors
    ///
    /// Those of [`start_send`](Self::start_send), with the buffer.
    #[doc(alias = "WskDisconnect")]
    pub fn start_disconnect_after<B>(&self, last: B) -> Result<Disconnect<B>, NotStarted<B>>
    where
        B: SendBuffer + Send + 'static,
    {
        let (socket, table) = (self.socket.socket, self.socket.dispatch());
        let mut last = last;
        let own = last.operation(Inside(()));
        // SAFETY: the socket is open while this handle is. The payload holds the buffer, whose extent is valid until its lock is
        // dropped, which is when the payload is.
        unsafe {
            self.socket
                .start_carrying(last, own, |irp, arguments, carried| {
                    lend(Carried::lock(carried)?, &mut *arguments.as_ptr())?;
                    let last = Some(buffer_of(arguments));
                    Ok(table.wsk_disconnect(socket, last, 0, irp)?)
                })
        }
    }

    /// Closes the socket and waits until WSK is done with it. IRQL: `PASSIVE_LEVEL`.
    ///
    /// Aborts the connection, unless it is disconnected in both directions.
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

impl<'scope> Scope<'scope, '_> {
    /// Starts to send bytes over a connection, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates an
    /// operation.
    ///
    /// [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send).
    ///
    /// # Errors
    ///
    /// Those of [`ConnectedSocket::send`] that are found before WSK has taken the request.
    #[doc(alias = "WskSend")]
    pub fn send<B: SendBuffer + ?Sized>(
        &'scope self,
        socket: &'scope ConnectedSocket,
        buffer: &'scope B,
    ) -> Result<ScopedSend<'scope>, Error> {
        let socket = &socket.socket;
        let lock = buffer.lock()?;
        let mut operation = Idle::new()?;
        lend(&lock, operation.arguments())?;
        let flags = socket.send_flags.load(Ordering::Relaxed);
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so is the buffer. The lock is
        // carried along.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                Some(lock),
                None,
                |irp, arguments| Ok(table.wsk_send(handle, buffer_of(arguments), flags, irp)?),
            )
        }?;
        Ok(self.sending(flight, Call::WskSend))
    }

    /// Starts to send the bytes of a last buffer over a connection and to disconnect it in good order, without waiting. IRQL:
    /// `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates an operation.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect).
    ///
    /// # Errors
    ///
    /// Those of [`ConnectedSocket::disconnect_after`] that are found before WSK has taken the request.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect_after<B: SendBuffer + ?Sized>(
        &'scope self,
        socket: &'scope ConnectedSocket,
        last: &'scope B,
    ) -> Result<ScopedSend<'scope, ()>, Error> {
        let socket = &socket.socket;
        let lock = last.lock()?;
        let mut operation = Idle::new()?;
        lend(&lock, operation.arguments())?;
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so is the buffer. The lock is
        // carried along.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                Some(lock),
                None,
                |irp, arguments| {
                    let last = Some(buffer_of(arguments));
                    Ok(table.wsk_disconnect(handle, last, 0, irp)?)
                },
            )
        }?;
        let read: Read<()> = |call, outcome, _| outcome.check(call);
        Ok(self.sending_to_end(flight, Call::WskDisconnect, read))
    }

    /// Starts to receive bytes of a connection, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates an
    /// operation.
    ///
    /// The scope's end waits for the bytes: cancel what nobody wants any more.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive).
    ///
    /// # Errors
    ///
    /// Those of [`ConnectedSocket::receive`] that are found before WSK has taken the request.
    #[doc(alias = "WskReceive")]
    pub fn receive<B: ReceiveBuffer + ?Sized>(
        &'scope self,
        socket: &'scope ConnectedSocket,
        buffer: &'scope mut B,
    ) -> Result<ScopedReceive<'scope, B, usize>, Error> {
        self.receive_within(socket, buffer, 0)
    }

    /// Starts to receive until the buffer is full, without waiting. IRQL: `<= DISPATCH_LEVEL`, for nonpaged memory. Allocates
    /// an operation.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) with
    /// `WSK_FLAG_WAITALL`.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectedSocket::receive_all`] that are found before WSK has taken the request.
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn receive_all<B: ReceiveBuffer + ?Sized>(
        &'scope self,
        socket: &'scope ConnectedSocket,
        buffer: &'scope mut B,
    ) -> Result<ScopedReceive<'scope, B, usize>, Error> {
        self.receive_within(socket, buffer, WSK_FLAG_WAITALL)
    }

    fn receive_within<B: ReceiveBuffer + ?Sized>(
        &'scope self,
        socket: &'scope ConnectedSocket,
        buffer: &'scope mut B,
        flags: u32,
    ) -> Result<ScopedReceive<'scope, B, usize>, Error> {
        let socket = &socket.socket;
        let room = NonNull::from(buffer);
        // SAFETY: the buffer is borrowed exclusively for the scope; this is the only use of the borrow until the operation has
        // completed.
        let lock = unsafe { &mut *room.as_ptr() }.lock_mut()?;
        let mut operation = Idle::new()?;
        operation.arguments().buffer = lock.extent().as_wsk_buf();
        let (handle, table) = (socket.socket, socket.dispatch());
        // SAFETY: the socket's handle is borrowed for the scope, at whose end the completion was seen; so is the buffer. The lock is
        // carried along.
        let flight = unsafe {
            self.start(
                operation,
                &socket.capture,
                Some(lock),
                None,
                |irp, arguments| Ok(table.wsk_receive(handle, buffer_of(arguments), flags, irp)?),
            )
        }?;
        Ok(self.receiving(flight, Call::WskReceive, room, moved))
    }
}

/// What `WskSocketConnect` gets besides what is in the arguments.
struct Places {
    client: NonNull<c_void>,
    table: wsk_sys::WskProviderDispatch,
    context: Option<NonNull<c_void>>,
    callbacks: Option<NonNull<WSK_CLIENT_CONNECTION_DISPATCH>>,
}

impl Places {
    /// # Safety
    ///
    /// The client and table are those of the captured provider; the addresses are in the arguments and in the payload; context
    /// and callbacks stay until the socket is closed.
    unsafe fn invoke(
        &self,
        arguments: NonNull<Arguments>,
        awaited: NonNull<AwaitedConnection>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, Error> {
        // SAFETY: the caller gives the places, and what `WskSocketConnect` asks of them.
        unsafe {
            let local = NonNull::new_unchecked(&raw mut (*awaited.as_ptr()).address);
            Ok(self.table.wsk_socket_connect(
                self.client,
                SOCK_STREAM,
                IPPROTO::IPPROTO_TCP.0.cast_unsigned(),
                local.cast(),
                address_of(arguments),
                self.context,
                self.callbacks,
                None,
                None,
                None,
                irp,
            )?)
        }
    }
}

/// What can be wrong with the address of the other side before WSK is asked.
fn check_remote(family: Family, remote: SocketAddr) -> Result<(), Error> {
    family.check(&remote)?;
    if remote.port() == 0 {
        return Err(Error::PortZero);
    }
    Ok(())
}

/// Lends a buffer to send, which has no control information: a connection takes none.
fn lend(lock: &Lock<'_>, arguments: &mut Arguments) -> Result<(), Error> {
    arguments.buffer = lock.extent().as_wsk_buf();
    match lock.lend_control(arguments)? {
        0 => Ok(()),
        needed => Err(Error::ControlFull { needed, room: 0 }),
    }
}

/// The number of bytes of a completed send or receive.
fn moved(call: Call, outcome: Outcome, arguments: &Arguments) -> Result<usize, Error> {
    outcome.check(call)?;
    Ok(outcome.information.min(arguments.buffer.Length))
}
