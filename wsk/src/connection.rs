//! Connection sockets: WSK's category behind `WSK_PROVIDER_CONNECTION_DISPATCH`, for TCP.

#![forbid(unsafe_code)]

use core::net::SocketAddr;

use wsk_sys::WSK_FLAG_NODELAY;

use crate::address::{Family, ToSocketAddr};
use crate::buffer::{ReceiveBuffer, SendBuffer};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::events::{self, ConnectionEvent, ConnectionEvents};
use crate::memory::atomic::Ordering;
use crate::methods::{bound_by_address, closed, open_socket};
use crate::registration::Provider;
use crate::request::{
    self, Abort, All, Connect, Disconnect, DisconnectAfter, Drain, IndicateControl, OpenConnected,
    Receive, ReceiveAll, ReceiveExact, Request, Send,
};
use crate::socket::{ConnectedSocket, ConnectionCategory, ConnectionSocket, Making};

bound_by_address!(ConnectionSocket);
closed!(ConnectionSocket);
closed! {
    /// Aborts the connection, unless it is disconnected in both directions.
    ConnectedSocket
}

impl ConnectionSocket {
    /// Opens a socket, which has to be bound before it can be connected. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates the socket's state and operations, one of them for closing, which can therefore not fail for lack of memory.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    #[doc(alias = "WskSocket")]
    pub fn open(provider: &Provider, family: Family) -> Result<Self, Error> {
        let handle = open_socket(Making::of(provider, family, false, None))?;
        Ok(Self::new(handle))
    }

    /// Opens a socket with a handler of its events, which WSK calls once the socket is connected and they are
    /// [enabled](ConnectedSocket::enable_events). IRQL: `<= APC_LEVEL`; waits.
    ///
    /// Allocates what [`open`](Self::open) does, and room for the handler. The handler is dropped when the socket's close has
    /// completed, at up to `DISPATCH_LEVEL`.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[doc(alias = "WskSocket")]
    pub fn open_with_events<H: ConnectionEvent>(
        provider: &Provider,
        family: Family,
        handler: H,
    ) -> Result<Self, Error> {
        let events = Some(events::of_connection(handler)?);
        let handle = open_socket(Making::of(provider, family, false, events))?;
        Ok(Self::new(handle))
    }

    /// Connects. The request takes the socket. Its result is a [`ConnectedSocket`], or an error [with the
    /// socket](crate::operation::NotConnected).
    ///
    /// Dropping an operation that was started cancels it; the socket is closed when it has completed.
    ///
    /// [`WskConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NotBound`], [`Error::WrongFamily`], [`Error::PortZero`]; or the error of WSK, such as
    /// `STATUS_CONNECTION_REFUSED`.
    #[doc(alias = "WskConnect")]
    pub fn connect(self, remote: impl ToSocketAddr) -> Request<'static, Connect, Self> {
        request::connect(self, Endpoint::of(remote))
    }

    /// [`connect`](Self::connect) to an address of any family.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    #[doc(alias = "WskConnect")]
    pub fn connect_to(self, remote: impl Into<Endpoint>) -> Request<'static, Connect, Self> {
        request::connect(self, remote.into())
    }
}

impl ConnectedSocket {
    /// Opens a socket, binds it to any local address (or [to one](Request::bound_to)), and connects it. The result is the connected
    /// socket.
    ///
    /// With [a handler for its events](Request::with_events) if wanted. Allocates the socket's state and operations, one of them for
    /// closing, which can therefore not fail for lack of memory. Dropping an operation that was started cancels it; a connection
    /// that is made all the same is closed.
    ///
    /// [`WskSocketConnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`], [`Error::PortZero`]; or the error of WSK, such as `STATUS_CONNECTION_REFUSED`.
    #[doc(alias = "WskSocketConnect")]
    pub fn connect(
        provider: &Provider,
        remote: impl ToSocketAddr,
    ) -> Request<'static, OpenConnected, Making<ConnectionCategory>> {
        let remote = Endpoint::of(remote);
        // Without an IP address the request fails before it creates a socket, whatever the family.
        let family = remote.ip().map_or(Family::V4, |ip| Family::of(&ip));
        let making = Making::of(provider, family, true, None);
        request::open_connected(making, remote)
    }

    /// [`connect`](Self::connect) with a socket of any family, to an address of it, bound to none in particular or
    /// [to one](Request::bound_to).
    ///
    /// ```no_run
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::{ConnectedSocket, Family, HypervAddress};
    ///
    /// let service = HypervAddress { partition: HypervAddress::PARENT, service: *b"service's id, so" };
    /// let socket = ConnectedSocket::connect_to(&provider, Family::HYPERV, service).wait()?;
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect), and [`Error::WrongFamily`].
    #[doc(alias = "WskSocketConnect")]
    pub fn connect_to(
        provider: &Provider,
        family: Family,
        remote: impl Into<Endpoint>,
    ) -> Request<'static, OpenConnected, Making<ConnectionCategory>> {
        request::open_connected(Making::of(provider, family, true, None), remote.into())
    }

    /// The local address of a connection of any family. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// # Errors
    ///
    /// As for [`local_address`](Self::local_address).
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_endpoint(&self) -> Result<Endpoint, Error> {
        request::local_address(&self.handle).wait()
    }

    /// The address of the peer, of any family. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// # Errors
    ///
    /// As for [`remote_address`](Self::remote_address).
    #[doc(alias = "WskGetRemoteAddress")]
    pub fn remote_endpoint(&self) -> Result<Endpoint, Error> {
        request::remote_address(&self.handle).wait()
    }

    /// The local address of the connection. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK.
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        request::local_address(&self.handle).wait()
    }

    /// The address of the peer. IRQL: `<= APC_LEVEL`; waits.
    ///
    /// [`WskGetRemoteAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of WSK, such as when the connection no longer exists.
    #[doc(alias = "WskGetRemoteAddress")]
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        request::remote_address(&self.handle).wait()
    }

    /// Whether later sends are sent at once, together with queued bytes, instead of gathering small segments (Nagle algorithm). The
    /// default is `false`. IRQL: `<= DISPATCH_LEVEL`.
    #[doc(alias("WSK_FLAG_NODELAY", "TCP_NODELAY"))]
    pub fn set_no_delay(&self, no_delay: bool) {
        let flags = if no_delay { WSK_FLAG_NODELAY } else { 0 };
        self.handle.send_flags.store(flags, Ordering::Relaxed);
    }

    /// Sends bytes. The result is their number.
    ///
    /// WSK does not buffer: the request completes when the transport is done with all bytes, or has failed. If you drop an
    /// operation that was started, the bytes are still sent. After a send that failed or was cancelled it is unknown how many bytes
    /// went out, so send nothing more: [abort](Self::abort) the connection, or close it.
    ///
    /// Control information goes with it when it is given a [`WithControl`](crate::WithControl) that has any, on Windows 10, version
    /// 1803, and later. Which it may be is the transport's business.
    ///
    /// [`WskSend`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send);
    /// [`WskSendEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_ex) where there is control
    /// information.
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::ControlFull`] for more control information than an operation has room for; [`Error::NoEntry`] for any
    /// on an older Windows; or the error of WSK, such as `STATUS_CONNECTION_RESET`, or `STATUS_NOT_SUPPORTED` for control information that
    /// the transport does not know.
    #[doc(alias("WskSend", "WskSendEx"))]
    pub fn send<B: SendBuffer>(&self, buffer: B) -> Request<'_, Send, B> {
        request::send(&self.handle, buffer)
    }

    /// Receives the bytes that have arrived, as many as fit. The result is their number.
    ///
    /// 0 is the end: the peer has disconnected gracefully, and nothing comes any more. (With an empty buffer it says
    /// nothing.) Dropping an operation that was started cancels it; bytes that came first are lost.
    ///
    /// Control information is received too, where the buffer is a [`WithControl`](crate::WithControl) with room for it, on Windows 10,
    /// version 1803, and later:
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
    /// use wsk::{Control, ControlMessage, WithControl};
    ///
    /// let mut buffer = WithControl::new([0; 64], Control::<{ ControlMessage::SPACE_FOR_ALL }>::new());
    /// let received = socket.receive(&mut buffer).wait()?;
    /// for message in buffer.control.messages() {
    ///     println!("{message:?} came with {received} bytes");
    /// }
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive);
    /// [`WskReceiveEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_ex) where there is room for
    /// control information.
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoEntry`] for room for control information on an older Windows; or the error of WSK, such as
    /// `STATUS_CONNECTION_RESET`.
    #[doc(alias("WskReceive", "WskReceiveEx"))]
    pub fn receive<B: ReceiveBuffer>(&self, buffer: B) -> Request<'_, Receive, B> {
        request::receive(&self.handle, buffer)
    }

    /// Receives until the buffer is full, or the peer has disconnected. The result is the number of bytes.
    ///
    /// A number below the buffer's length means that the peer has disconnected gracefully after these bytes. Otherwise this is like
    /// [`receive`](Self::receive), but without control information, which would be that of several receives. When it is cancelled,
    /// its time runs out or the connection breaks, the bytes that had come are in the buffer: [`Error::Short`] says how many. The next receive
    /// gets the bytes behind them.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"a part").unwrap();
    /// use core::time::Duration;
    /// use wsk::Error;
    ///
    /// let mut message = [0; 12];
    /// let limit = Duration::from_millis(100);
    /// let received = match socket.receive_all(&mut message).wait_timeout(limit) {
    ///     Ok(received) | Err(Error::Short { received, .. }) => received,
    ///     Err(Error::TimedOut { .. }) => 0,
    ///     Err(error) => return Err(error),
    /// };
    /// assert_eq!(&message[..received], b"a part");
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) with `WSK_FLAG_WAITALL`; if
    /// a provider does not wait for all bytes, it is asked again. Microsoft does not document what becomes of bytes that arrived
    /// for such a receive when the receive is cancelled. So [`wait_timeout`](Request::wait_timeout) asks without the flag, as
    /// often as necessary: no bytes are lost, whatever the provider does, but bytes that another thread receives meanwhile are
    /// missing from the buffer. For an operation that was started and cancelled, `Short` has the number that the provider
    /// reports.
    ///
    /// # Errors
    ///
    /// Of the request: those of [`receive`](Self::receive), where nothing had come; else [`Error::Short`].
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn receive_all<B: ReceiveBuffer>(&self, buffer: B) -> Request<'_, ReceiveAll, All<B>> {
        request::receive_all(&self.handle, buffer)
    }

    /// Receives until the buffer is full. Fewer bytes are an error.
    ///
    /// All else is as for [`receive_all`](Self::receive_all). A buffer of no bytes is full at once.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"\0\x04four").unwrap();
    /// let mut length = [0; 2];
    /// socket.receive_exact(&mut length).wait()?;
    /// let mut message = [0; 64];
    /// let message = &mut message[..u16::from_be_bytes(length).min(64).into()];
    /// socket.receive_exact(&mut *message).wait()?;
    /// assert_eq!(message, b"four");
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// Messages of one length are received one after the other by an operation that is prepared once:
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// # let socket = wsk::ConnectedSocket::connect(&provider, peer.local_addr().unwrap()).wait()?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"ab12cd34").unwrap();
    /// use wsk::NonPagedBuffer;
    ///
    /// let mut receiving = socket.receive_exact(NonPagedBuffer::new(4)?).prepare()?;
    /// assert_eq!(receiving.wait()?.bytes(), b"ab12");
    /// assert_eq!(receiving.wait()?.bytes(), b"cd34");
    /// # drop((receiving, socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::Short`] when the peer disconnects gracefully before, with `STATUS_END_OF_FILE`, also where nothing had
    /// come; else as for [`receive_all`](Self::receive_all).
    #[doc(alias("WskReceive", "WSK_FLAG_WAITALL"))]
    pub fn receive_exact<B: ReceiveBuffer>(&self, buffer: B) -> Request<'_, ReceiveExact, All<B>> {
        request::receive_exact(&self.handle, buffer)
    }

    /// Discards everything that still arrives, until the peer has disconnected. Dropping an operation that was started cancels it.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) with `WSK_FLAG_DRAIN`.
    ///
    /// # Errors
    ///
    /// Of the request: the error of WSK.
    #[doc(alias("WskReceive", "WSK_FLAG_DRAIN"))]
    pub fn drain(&self) -> Request<'_, Drain, ()> {
        request::drain(&self.handle)
    }

    /// Disconnects gracefully. The request completes when the peer has acknowledged all sent bytes and the disconnect.
    ///
    /// Nothing can be sent any more. You can still receive, until the peer disconnects too. If the peer takes no more bytes, this may
    /// take for ever: when the time of [`wait_timeout`](Request::wait_timeout) runs out, the
    /// connection is [aborted](Self::abort). An operation that you start and drop goes on. Keep the socket until it has
    /// completed, because closing the socket before that aborts the connection.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect).
    ///
    /// # Errors
    ///
    /// Of the request: the error of WSK. [`Error::TimedOut`]: the connection is aborted, and sent bytes may be lost.
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect(&self) -> Request<'_, Disconnect, ()> {
        request::disconnect(&self.handle)
    }

    /// Sends the bytes of a last buffer and disconnects, as [`disconnect`](Self::disconnect) does.
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::ControlFull`] for a buffer with control information, because `WskDisconnect` takes none; and those of
    /// [`disconnect`](Self::disconnect).
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect_after<B: SendBuffer>(&self, last: B) -> Request<'_, DisconnectAfter, B> {
        request::disconnect_after(&self.handle, last)
    }

    /// Aborts the connection: bytes that are not sent yet are lost, and the peer sees a reset.
    ///
    /// Sends and receives in flight complete with an error. Nothing can be sent or received any more.
    ///
    /// [`WskDisconnect`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect) with
    /// `WSK_FLAG_ABORTIVE`.
    ///
    /// # Errors
    ///
    /// Of the request: the error of WSK.
    #[doc(alias("WskDisconnect", "WSK_FLAG_ABORTIVE"))]
    pub fn abort(&self) -> Request<'_, Abort, ()> {
        request::abort(&self.handle)
    }

    /// Enables the events: WSK calls the handler when bytes arrive that no receive waits for, and when the peer disconnects, perhaps
    /// before this returns. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`SEND_BACKLOG`](ConnectionEvents::SEND_BACKLOG) is enabled [by name](Self::enable) only.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] when the socket was made without a handler; or the error of WSK.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_RECEIVE", "WSK_EVENT_DISCONNECT"))]
    pub fn enable_events(&self) -> Result<(), Error> {
        self.enable(ConnectionEvents::USUAL)
    }

    /// Enables some events; the others stay as they are. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// With [`DISCONNECT`](ConnectionEvents::DISCONNECT) alone the bytes are left to [`receive`](Self::receive):
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let remote = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use core::sync::atomic::{AtomicBool, Ordering};
    /// use wsk::ConnectedSocket;
    /// use wsk::events::{ConnectionEvent, ConnectionEvents, Disconnection};
    ///
    /// /// Notes that the peer is gone.
    /// #[derive(Default)]
    /// struct Gone(AtomicBool);
    ///
    /// impl ConnectionEvent for Gone {
    ///     fn disconnected(&self, _: &Disconnection<'_>) {
    ///         self.0.store(true, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let socket = ConnectedSocket::connect(&provider, remote).with_events(Gone::default()).wait()?;
    /// socket.enable(ConnectionEvents::DISCONNECT)?;
    /// # let (mut peer, _) = peer.accept().unwrap();
    /// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
    /// let mut room = [0; 5];
    /// socket.receive_all(&mut room).wait()?;
    /// # drop(peer);
    /// # let gone = || socket.handler::<Gone>().is_some_and(|gone| gone.0.load(Ordering::Relaxed));
    /// # while !gone() { std::thread::yield_now() }
    /// assert!(socket.handler::<Gone>().is_some_and(|gone| gone.0.load(Ordering::Relaxed)));
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// With [`SEND_BACKLOG`](ConnectionEvents::SEND_BACKLOG) it hears how much should be in flight:
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let remote = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use core::sync::atomic::{AtomicUsize, Ordering};
    /// use wsk::ConnectedSocket;
    /// use wsk::events::{ConnectionEvent, ConnectionEvents, SendBacklog};
    /// use wsk::ioctl::IdealSendBacklog;
    ///
    /// /// How much to have in flight.
    /// struct Window(AtomicUsize);
    ///
    /// impl ConnectionEvent for Window {
    ///     fn send_backlog_changed(&self, backlog: &SendBacklog<'_>) {
    ///         self.0.store(backlog.ideal(), Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let socket = ConnectedSocket::connect(&provider, remote).with_events(Window(AtomicUsize::new(0))).wait()?;
    /// socket.enable(ConnectionEvents::SEND_BACKLOG)?;
    /// let now = socket.ioctl(IdealSendBacklog).wait()?;
    /// if let Some(window) = socket.handler::<Window>() {
    ///     // The event may have come first, which is newer.
    ///     let _ = window.0.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    ///     assert!(window.0.load(Ordering::Relaxed) > 0);
    /// }
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// Those of [`enable_events`](Self::enable_events).
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn enable(&self, events: ConnectionEvents) -> Result<(), Error> {
        request::enable_events(&self.handle, events.mask())
    }

    /// Disables the events, and waits until calls of the handler have returned. IRQL: `<= APC_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`]; [`Error::NoEvents`] when the socket was made without a handler; or what WSK
    /// says.
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_DISABLE"))]
    pub fn disable_events(&self) -> Result<(), Error> {
        self.disable(ConnectionEvents::ALL)
    }

    /// Disables some events, and waits until calls of the handler for them have returned. IRQL: `<= APC_LEVEL`.
    ///
    /// [`SO_WSK_EVENT_CALLBACK`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
    ///
    /// # Errors
    ///
    /// Those of [`disable_events`](Self::disable_events).
    #[doc(alias("SO_WSK_EVENT_CALLBACK", "WSK_EVENT_DISABLE"))]
    pub fn disable(&self, events: ConnectionEvents) -> Result<(), Error> {
        events
            .each()
            .try_for_each(|event| request::disable_events(&self.handle, event).wait())
    }

    /// Whether the handler gets the control information of received bytes, by
    /// [`StreamIndication::control`](crate::events::StreamIndication::control). The default is `false`. Windows 10, version 1803, and later.
    ///
    /// Events have to be [enabled](Self::enable_events) as usual, before or after. Bytes that WSK is just indicating may come without their
    /// control information. The setting belongs to this socket: a socket that a listening socket accepts starts with the default.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let remote = peer.local_addr().unwrap();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use wsk::ConnectedSocket;
    /// use wsk::events::{StreamIndication, StreamVerdict};
    ///
    /// let count = |indication: &mut StreamIndication<'_>| {
    ///     println!("{} messages", indication.control().count());
    ///     StreamVerdict::Consumed
    /// };
    /// let socket = ConnectedSocket::connect(&provider, remote).with_events(count).wait()?;
    /// socket.indicate_control(true).wait()?;
    /// socket.enable_events()?;
    /// # drop((socket, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskReceiveExEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_ex_event).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoEvents`] when the socket was made without a handler; [`Error::NoEntry`] on an older Windows; or what
    /// WSK says.
    #[doc(alias("SIO_WSK_SET_RECEIVE_EX_CALLBACK", "WskReceiveExEvent"))]
    pub fn indicate_control(&self, on: bool) -> Request<'_, IndicateControl, ()> {
        request::indicate_control(&self.handle, on)
    }

    /// Makes WSK indicate received bytes to the handler again, after a [`StreamVerdict`](crate::events::StreamVerdict) has stopped
    /// that. IRQL: `<= DISPATCH_LEVEL`. Allocates an operation.
    ///
    /// [`WskReceive`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive) of no bytes.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], or the error that WSK returns at once.
    #[doc(alias = "WskReceive")]
    pub fn resume_events(&self) -> Result<(), Error> {
        request::resume_events(&self.handle)
    }
}
