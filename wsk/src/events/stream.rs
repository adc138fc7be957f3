//! Events of connections: WSK calls the driver when data has arrived or the peer disconnects, through
//! `WSK_CLIENT_CONNECTION_DISPATCH`.

#![forbid(unsafe_code)]

use core::fmt;

use wsk_sys::{
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_FLAG_ABORTIVE, WSK_FLAG_ENTIRE_MESSAGE,
    WSK_FLAG_RELEASE_ASAP,
};

use crate::buffer::{ControlMessages, pieces};
use crate::error::Error;
use crate::events::handler::{AT_DISPATCH_LEVEL, Handler};
use crate::memory::Shared;
use crate::socket::callbacks;
use crate::socket::event_context::Events;
use crate::socket::indicated_bytes::ByteList;
pub use crate::socket::indicated_bytes::{RetainedBytes, StreamPieces};
use crate::socket::stream_events::ConnectionHandler;
pub use crate::socket::stream_events::StreamVerdict;
use crate::socket::{ConnectedSocket, ConnectionCategory, ConnectionSocket, Handle, Socket};

/// The event callbacks of a connection, in the form that WSK needs.
type ConnectionTable = Events<WSK_CLIENT_CONNECTION_DISPATCH>;

/// The handler of a connection: WSK calls it when bytes arrive, and when the peer disconnects.
///
/// The functions run at up to `DISPATCH_LEVEL`, on any thread, at the same time as each other and as a close; never after the
/// close has completed. They may start operations, and must not wait for any.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::events::{ConnectionEvent, Disconnection, StreamIndication, StreamVerdict};
/// use wsk::{ConnectedSocket, NonPagedBuffer};
///
/// /// Sends back what comes.
/// struct Echo;
///
/// impl ConnectionEvent for Echo {
///     fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
///         let Some(socket) = indication.socket() else {
///             return StreamVerdict::NotAccepted;
///         };
///         let Ok(mut answer) = NonPagedBuffer::new(indication.len()) else {
///             return StreamVerdict::NotAccepted;
///         };
///         indication.copy_to(answer.as_mut_slice());
///         // Dropping the operation lets the bytes go.
///         match socket.send(answer).start() {
///             Ok(_) => StreamVerdict::Consumed,
///             Err(_) => StreamVerdict::NotAccepted,
///         }
///     }
///
///     fn disconnected(&self, disconnection: &Disconnection<'_>) {
///         if let Some(socket) = disconnection.socket()
///             && !disconnection.is_abortive()
///         {
///             drop(socket.disconnect().start());
///         }
///     }
/// }
///
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(Echo).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
/// # peer.shutdown(std::net::Shutdown::Write).unwrap();
/// # let mut got = Vec::new();
/// # std::io::Read::read_to_end(&mut peer, &mut got).unwrap();
/// # assert_eq!(got, b"hello");
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// A handler that panics [aborts](crate::events). A closure that takes a `&mut StreamIndication<'_>` is one that receives, and
/// [more about handlers](crate::events).
#[doc(alias = "WSK_CLIENT_CONNECTION_DISPATCH")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle what happens to a connection",
    label = "not a handler",
    note = "implement `ConnectionEvent` for it"
)]
pub trait ConnectionEvent: Send + Sync + 'static {
    /// Bytes have arrived that no receive waits for. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The driver may use them until this returns. [`StreamIndication::retain`] lets it keep them longer.
    ///
    /// [`WskReceiveEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_event).
    ///
    /// A handler without this method accepts no bytes: they stay for a receive. If you [enable only the other
    /// events](ConnectedSocket::enable), WSK does not call it for received bytes.
    #[doc(alias = "WskReceiveEvent")]
    fn received(&self, _: &mut StreamIndication<'_>) -> StreamVerdict {
        StreamVerdict::NotAccepted
    }

    /// The peer has disconnected. After a graceful disconnect nothing more arrives, but the driver can still send. Otherwise the peer has aborted
    /// the connection. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`WskDisconnectEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect_event).
    #[doc(alias = "WskDisconnectEvent")]
    fn disconnected(&self, _: &Disconnection<'_>) {}

    /// The number of bytes that should be in flight to keep the connection busiest has changed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// WSK calls this only if [this event](crate::events::ConnectionEvents::SEND_BACKLOG) is enabled by name. At any time
    /// [`IdealSendBacklog`](crate::ioctl::IdealSendBacklog) asks for the number.
    ///
    /// [`WskSendBacklogEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_backlog_event).
    #[doc(alias = "WskSendBacklogEvent")]
    fn send_backlog_changed(&self, _: &SendBacklog<'_>) {}

    /// The socket is dead and has to be closed. IRQL: `<= DISPATCH_LEVEL`.
    fn closed(&self) {}
}

#[diagnostic::do_not_recommend]
impl<F: Fn(&mut StreamIndication<'_>) -> StreamVerdict + Send + Sync + 'static> ConnectionEvent
    for F
{
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        self(indication)
    }
}

impl ConnectedSocket {
    /// The handler that it was made with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: ConnectionEvent>(&self) -> Option<&H> {
        let handler = self.handle.handler::<Handler<H>>()?;
        Some(&handler.0)
    }
}

impl ConnectionSocket {
    /// The handler that it was opened with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: ConnectionEvent>(&self) -> Option<&H> {
        let handler = self.handle.handler::<Handler<H>>()?;
        Some(&handler.0)
    }
}

/// A disconnect by the peer.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::{Sender, channel}; // A driver has a queue of its own.
/// use wsk::ConnectedSocket;
/// use wsk::events::{ConnectionEvent, Disconnection};
///
/// /// Tells a thread whether the peer has aborted the connection.
/// struct Ends(Sender<bool>);
///
/// impl ConnectionEvent for Ends {
///     fn disconnected(&self, disconnection: &Disconnection<'_>) {
///         let _ = self.0.send(disconnection.is_abortive());
///     }
/// }
///
/// let (ends, aborted) = channel();
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(Ends(ends)).wait()?;
/// socket.enable_events()?;
/// # drop(peer.accept().unwrap());
/// # assert_eq!(aborted.recv(), Ok(false));
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct Disconnection<'i> {
    flags: u32,
    socket: Option<&'i Shared<Socket<ConnectionCategory>>>,
}

impl Disconnection<'_> {
    /// Whether the peer has aborted the connection, so that nothing more can be sent or received. Otherwise it has disconnected
    /// gracefully: all bytes that it sent have arrived, and it still receives.
    #[doc(alias = "WSK_FLAG_ABORTIVE")]
    #[must_use]
    pub const fn is_abortive(&self) -> bool {
        self.flags & WSK_FLAG_ABORTIVE != 0
    }

    /// Whether WSK calls the handler at `DISPATCH_LEVEL`. Otherwise the IRQL may be any up to that.
    #[doc(alias = "WSK_FLAG_AT_DISPATCH_LEVEL")]
    #[must_use]
    pub const fn at_dispatch_level(&self) -> bool {
        self.flags & AT_DISPATCH_LEVEL != 0
    }

    /// A handle of the socket, to answer with; `None` when it is being closed.
    ///
    /// A handler must not keep it in itself: the socket would never close by its last handle.
    #[must_use]
    pub fn socket(&self) -> Option<ConnectedSocket> {
        let socket = Handle::from_open(self.socket?)?;
        Some(ConnectedSocket { handle: socket })
    }
}

impl fmt::Debug for Disconnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disconnection")
            .field("abortive", &self.is_abortive())
            .finish_non_exhaustive()
    }
}

/// A change of the ideal send backlog: the number of bytes in flight that gives a connection the best throughput.
///
/// ```
/// use core::sync::atomic::{AtomicUsize, Ordering};
/// use wsk::events::{ConnectionEvent, SendBacklog};
///
/// /// Remembers how many bytes should be in flight.
/// struct Depth(AtomicUsize);
///
/// impl ConnectionEvent for Depth {
///     fn send_backlog_changed(&self, backlog: &SendBacklog<'_>) {
///         self.0.store(backlog.ideal(), Ordering::Relaxed);
///     }
/// }
/// # use wsk::events::ConnectionEvents;
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// let socket = wsk::ConnectedSocket::connect(&provider, remote).with_events(Depth(AtomicUsize::new(0))).wait()?;
/// socket.enable(ConnectionEvents::SEND_BACKLOG)?;
/// socket.set_option(wsk::option::SendBufferSize(1 << 17)).wait()?;
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct SendBacklog<'i> {
    ideal: usize,
    socket: Option<&'i Shared<Socket<ConnectionCategory>>>,
}

impl SendBacklog<'_> {
    /// The ideal number of bytes in sends that have not completed. With fewer, the connection is idle at times; more do not help.
    #[must_use]
    pub const fn ideal(&self) -> usize {
        self.ideal
    }

    /// A handle of the socket, to send with; `None` when it is being closed.
    ///
    /// A handler must not keep it in itself: the socket would never close by its last handle.
    #[must_use]
    pub fn socket(&self) -> Option<ConnectedSocket> {
        let handle = Handle::from_open(self.socket?)?;
        Some(ConnectedSocket { handle })
    }
}

impl fmt::Debug for SendBacklog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBacklog")
            .field("ideal", &self.ideal)
            .finish_non_exhaustive()
    }
}

/// Bytes that WSK indicates to a driver.
///
/// ```
/// # let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let remote = peer.local_addr().unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::sync_channel; // A driver has a queue of its own.
/// use wsk::ConnectedSocket;
/// use wsk::events::{StreamIndication, StreamVerdict};
///
/// let (queue, lines) = sync_channel(8);
/// // Takes the bytes if the queue has room, and leaves them with WSK if not.
/// let handler = move |indication: &mut StreamIndication<'_>| {
///     let mut bytes = [0; 64];
///     let count = indication.copy_to(&mut bytes);
///     match queue.try_send((bytes, count)) {
///         Ok(()) => StreamVerdict::ConsumedPart(count),
///         Err(_) => StreamVerdict::NotAccepted,
///     }
/// };
/// let socket = ConnectedSocket::connect(&provider, remote).with_events(handler).wait()?;
/// socket.enable_events()?;
/// # let (mut peer, _) = peer.accept().unwrap();
/// # std::io::Write::write_all(&mut peer, b"hello").unwrap();
/// # let (bytes, count) = lines.recv().unwrap();
/// # assert_eq!(&bytes[..count], &b"hello"[..count]);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WSK_DATA_INDICATION")]
pub struct StreamIndication<'i> {
    /// The list of the callback. It remembers whether the bytes were retained.
    list: &'i mut ByteList,
    length: usize,
    flags: u32,
    socket: &'i Shared<Socket<ConnectionCategory>>,
}

impl StreamIndication<'_> {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes, piece by piece as they lie in memory.
    #[must_use]
    pub fn pieces(&self) -> StreamPieces<'_> {
        // Retained bytes may be released at any moment, so they are not shown.
        self.list.pieces()
    }

    /// Copies the bytes to `to`, as many as fit, and returns their number. It stops early at memory that cannot be mapped.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the bytes after the first `offset` to `to`, as many as fit, and returns their number.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().from(offset), to)
    }

    /// The control information of the bytes, if the socket [indicates it](ConnectedSocket::indicate_control); none after
    /// [`retain`](Self::retain).
    #[doc(alias("PFN_WSK_RECEIVE_EX_EVENT", "WskReceiveExEvent"))]
    #[must_use]
    pub fn control(&self) -> ControlMessages<'_> {
        self.list.control()
    }

    /// Keeps the bytes after the callback, whatever it returns. `None` if they are kept already, or the socket is being closed.
    ///
    /// They hold memory of the network stack, and keep the socket open: drop them soon. A handler must not keep them in itself: the
    /// socket would never close by its last handle.
    #[must_use]
    pub fn retain(&mut self) -> Option<RetainedBytes> {
        // The callback tells WSK that they were retained.
        RetainedBytes::of(self.list, self.length, self.socket)
    }

    /// A handle of the socket, to answer with; `None` when it is being closed.
    ///
    /// A handler must not keep it in itself: the socket would never close by its last handle.
    #[must_use]
    pub fn socket(&self) -> Option<ConnectedSocket> {
        let handle = Handle::from_open(self.socket)?;
        Some(ConnectedSocket { handle })
    }

    /// Whether the last segment had the push bit (PSH) of TCP.
    #[doc(alias = "WSK_FLAG_ENTIRE_MESSAGE")]
    #[must_use]
    pub const fn pushed(&self) -> bool {
        self.flags & WSK_FLAG_ENTIRE_MESSAGE != 0
    }

    /// Whether WSK asks the driver to release them soon.
    #[doc(alias = "WSK_FLAG_RELEASE_ASAP")]
    #[must_use]
    pub const fn release_soon(&self) -> bool {
        self.flags & WSK_FLAG_RELEASE_ASAP != 0
    }

    /// Whether WSK calls the handler at `DISPATCH_LEVEL`. Otherwise the IRQL may be any up to that.
    #[doc(alias = "WSK_FLAG_AT_DISPATCH_LEVEL")]
    #[must_use]
    pub const fn at_dispatch_level(&self) -> bool {
        self.flags & AT_DISPATCH_LEVEL != 0
    }
}

impl fmt::Debug for StreamIndication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamIndication")
            .field("length", &self.length)
            .field("flags", &self.flags)
            .field("retained", &self.list.is_retained())
            .finish_non_exhaustive()
    }
}

/// Makes the event callbacks of a connection, which call `handler`.
pub(crate) fn of_connection<H: ConnectionEvent>(handler: H) -> Result<ConnectionTable, Error> {
    callbacks::of_connection(Handler(handler))
}

impl<H: ConnectionEvent> ConnectionHandler for Handler<H> {
    fn arrived(
        &self,
        list: &mut ByteList,
        length: usize,
        flags: u32,
        socket: &Shared<Socket<ConnectionCategory>>,
    ) -> StreamVerdict {
        self.0.received(&mut StreamIndication {
            list,
            length,
            flags,
            socket,
        })
    }

    fn disconnected(&self, flags: u32, socket: Option<&Shared<Socket<ConnectionCategory>>>) {
        self.0.disconnected(&Disconnection { flags, socket });
    }

    fn send_backlog_changed(
        &self,
        ideal: usize,
        socket: Option<&Shared<Socket<ConnectionCategory>>>,
    ) {
        self.0.send_backlog_changed(&SendBacklog { ideal, socket });
    }

    fn died(&self) {
        self.0.closed();
    }
}
