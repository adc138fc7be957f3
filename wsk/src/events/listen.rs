//! Events of listening sockets, through `WSK_CLIENT_LISTEN_DISPATCH`: WSK calls the driver when a connection has arrived and, for
//! conditional accept, before it makes the connection.

#![forbid(unsafe_code)]

use core::fmt;
use core::net::SocketAddr;

use wsk_sys::{WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH};

use crate::error::Error;
use crate::events::handler::{AT_DISPATCH_LEVEL, Handler};
use crate::events::stream::{ConnectionEvent, of_connection};
use crate::socket::callbacks;
use crate::socket::event_context::Events;
use crate::socket::inspection::{InspectId, Pended};
use crate::socket::listen_events::{ListenHandler, Offer, Question};
use crate::socket::{ConnectedSocket, ListenSocket, StreamSocket};

/// The handler of a listening socket: WSK calls it when a connection arrives.
///
/// The functions run at up to `DISPATCH_LEVEL`, on any thread, at the same time as each other and as a close; never after the
/// close has completed. They may start operations, and must not wait for any.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::{Mutex, PoisonError}; // A driver has a spin lock.
/// use wsk::events::{AcceptEvent, Incoming};
/// use wsk::{ConnectedSocket, Family, ListenSocket, NonPagedBuffer};
///
/// /// Greets whoever comes, and keeps the connection.
/// #[derive(Default)]
/// struct Door {
///     connections: Mutex<Vec<ConnectedSocket>>,
/// }
///
/// impl AcceptEvent for Door {
///     fn accepted(&self, incoming: Incoming<'_>) {
///         let Ok(greeting) = NonPagedBuffer::copy_of(b"welcome") else {
///             // Rejected.
///             return;
///         };
///         if let Ok(socket) = incoming.accept() {
///             drop(socket.send(greeting).start());
///             let connections = self.connections.lock();
///             connections.unwrap_or_else(PoisonError::into_inner).push(socket);
///         }
///     }
/// }
///
/// let listener = ListenSocket::open_with_events(&provider, Family::V4, Door::default())?;
/// listener.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// listener.enable_accept_events()?;
/// # let mut peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// # let mut got = [0; 7];
/// # std::io::Read::read_exact(&mut peer, &mut got).unwrap();
/// # assert_eq!(&got, b"welcome");
/// # drop((listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// A handler that panics [aborts](crate::events). A closure that takes an `Incoming<'_>` is one too, and
/// [more about handlers](crate::events).
///
/// [`WskAcceptEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept_event).
#[doc(alias("WskAcceptEvent", "WSK_CLIENT_LISTEN_DISPATCH"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the connections that come",
    label = "not a handler",
    note = "implement `AcceptEvent` for it"
)]
pub trait AcceptEvent: Send + Sync + 'static {
    /// A connection has arrived that no accept waits for. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Unless it is [accepted](Incoming::accept), WSK closes it when this returns. A handler without this method refuses every connection: that
    /// is for a handler that only inspects, on a socket whose accept events are not [enabled](ListenSocket::enable_accept_events).
    fn accepted(&self, _: Incoming<'_>) {}

    /// A peer asks for a connection, and the driver decides whether to accept it. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// WSK calls this for every connection to a socket that was opened with [`open_conditional`](ListenSocket::open_conditional). Dropping the
    /// inspection rejects the connection. A handler without this method accepts every connection.
    ///
    /// [`WskInspectEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_event).
    #[doc(alias = "WskInspectEvent")]
    fn inspect(&self, inspection: Inspection<'_>) {
        inspection.accept();
    }

    /// A connection that was accepted or pended when it was inspected will not be made, for example because the peer has given up. IRQL:
    /// `<= DISPATCH_LEVEL`.
    ///
    /// Drop the connection if it was [pended](Pended): accepting it has no effect any more.
    ///
    /// [`WskAbortEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_abort_event).
    #[doc(alias = "WskAbortEvent")]
    fn aborted(&self, _: InspectId) {}

    /// The listening socket is dead and has to be closed. This may be called more than once. IRQL: `<= DISPATCH_LEVEL`.
    fn closed(&self) {}
}

#[diagnostic::do_not_recommend]
impl<F: Fn(Incoming<'_>) + Send + Sync + 'static> AcceptEvent for F {
    fn accepted(&self, incoming: Incoming<'_>) {
        self(incoming);
    }
}

impl ListenSocket {
    /// The handler that it was opened with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: AcceptEvent>(&self) -> Option<&H> {
        let handler = self.handle.handler::<Handler<H>>()?;
        Some(&handler.0)
    }
}

impl StreamSocket {
    /// The handler that it was opened with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: ConnectionEvent + AcceptEvent>(&self) -> Option<&H> {
        let handler = self.handle.handler::<Handler<H>>()?;
        Some(&handler.0)
    }
}

/// A connection that has arrived. Dropping it rejects the connection.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::channel; // A driver has a queue of its own.
/// use wsk::events::Incoming;
/// use wsk::{Family, ListenSocket};
///
/// let (queue, accepted) = channel();
/// // Accepts connections from this machine, and rejects all others.
/// let handler = move |incoming: Incoming<'_>| {
///     let local = incoming.remote_address().is_ok_and(|from| from.ip().is_loopback());
///     if local && let Ok(socket) = incoming.accept() {
///         let _ = queue.send(socket);
///     }
/// };
/// let listener = ListenSocket::open_with_events(&provider, Family::V4, handler)?;
/// listener.bind(([127, 0, 0, 1], 0))?;
/// listener.enable_accept_events()?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// # let socket = accepted.recv().unwrap();
/// # assert_eq!(socket.remote_address()?, peer.local_addr().unwrap());
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
pub struct Incoming<'i>(Offer<'i>);

impl Incoming<'_> {
    /// The local address of the connection.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for an address that is neither IPv4 nor IPv6.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        self.0.local()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for an address that is neither IPv4 nor IPv6.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        self.0.remote()
    }

    /// Whether WSK calls the handler at `DISPATCH_LEVEL`. Otherwise the IRQL may be any up to that.
    #[doc(alias = "WSK_FLAG_AT_DISPATCH_LEVEL")]
    #[must_use]
    pub const fn at_dispatch_level(&self) -> bool {
        self.0.flags() & AT_DISPATCH_LEVEL != 0
    }

    /// A handle of the listening socket; `None` when that is being closed.
    #[must_use]
    pub fn listener(&self) -> Option<ListenSocket> {
        self.0.listener()
    }

    /// Accepts the connection. IRQL: `<= DISPATCH_LEVEL`. Allocates the socket's state and operations.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]: the connection is rejected.
    pub fn accept(self) -> Result<ConnectedSocket, Error> {
        self.0.accept(None)
    }

    /// Accepts the connection with a handler of its events, which WSK calls once they are [enabled](ConnectedSocket::enable_events).
    /// They cannot be enabled before the callback has returned, because WSK does not know the handler before that. IRQL: `<=
    /// DISPATCH_LEVEL`. Allocates what [`accept`](Self::accept) does, and room for the handler.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]: the connection is rejected.
    pub fn accept_with_events<H: ConnectionEvent>(
        self,
        handler: H,
    ) -> Result<ConnectedSocket, Error> {
        self.0.accept(Some(of_connection(handler)?))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("remote", &self.remote_address())
            .finish_non_exhaustive()
    }
}

/// A connection that a peer asks for: [accept](Self::accept), [reject](Self::reject) or [pend](Self::pend) it. Dropping it rejects the
/// connection. IRQL of all methods: `<= DISPATCH_LEVEL`.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::events::{AcceptEvent, Inspection};
/// use wsk::{Family, ListenSocket};
///
/// /// Lets this machine connect, and nobody else.
/// struct Gate;
///
/// impl AcceptEvent for Gate {
///     fn inspect(&self, inspection: Inspection<'_>) {
///         if inspection.remote_address().is_ok_and(|from| from.ip().is_loopback()) {
///             inspection.accept();
///         } else {
///             inspection.reject();
///         }
///     }
/// }
///
/// let listener = ListenSocket::open_conditional(&provider, Family::V4, Gate)?;
/// listener.bind(([127, 0, 0, 1], 0))?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// let (socket, from) = listener.accept().wait()?;
/// # assert_eq!(from, peer.local_addr().unwrap());
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WSK_INSPECT_ACTION")]
pub struct Inspection<'i>(Question<'i>);

impl Inspection<'_> {
    /// The local address of the connection.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for an address that is neither IPv4 nor IPv6.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        self.0.local()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for an address that is neither IPv4 nor IPv6.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        self.0.remote()
    }

    /// The identifier of the connection, which an accepted socket [has too](crate::ioctl::QueryInspectId).
    #[must_use]
    pub const fn id(&self) -> InspectId {
        self.0.id()
    }

    /// A handle of the listening socket; `None` when that is being closed.
    #[must_use]
    pub fn listener(&self) -> Option<ListenSocket> {
        self.0.listener()
    }

    /// Accepts the connection. It then arrives at [`ListenSocket::accept`] or [`AcceptEvent::accepted`].
    #[doc(alias = "WskInspectAccept")]
    pub fn accept(self) {
        self.0.accept();
    }

    /// Rejects the connection, as dropping the inspection does.
    #[doc(alias = "WskInspectReject")]
    pub fn reject(self) {
        self.0.reject();
    }

    /// Pends the connection: any thread can answer later, even before the handler has returned. Allocates an operation.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]: the connection is rejected.
    #[doc(alias = "WskInspectPend")]
    pub fn pend(self) -> Result<Pended, Error> {
        self.0.pend()
    }
}

impl fmt::Debug for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection")
            .field("remote", &self.remote_address())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Makes the event callbacks of a listening socket, which call `handler`.
pub(crate) fn of_listener<H: AcceptEvent>(
    handler: H,
) -> Result<Events<WSK_CLIENT_LISTEN_DISPATCH>, Error> {
    callbacks::of_listener(Handler(handler))
}

/// Makes the event callbacks of a stream socket, which call `handler` whether the socket listens or connects.
pub(crate) fn of_stream<H: ConnectionEvent + AcceptEvent>(
    handler: H,
) -> Result<Events<WSK_CLIENT_STREAM_DISPATCH>, Error> {
    callbacks::of_stream(Handler(handler))
}

impl<H: AcceptEvent> ListenHandler for Handler<H> {
    fn came(&self, offer: Offer<'_>) {
        self.0.accepted(Incoming(offer));
    }

    fn asked(&self, question: Question<'_>) {
        self.0.inspect(Inspection(question));
    }

    fn aborted(&self, id: InspectId) {
        self.0.aborted(id);
    }

    fn died(&self) {
        self.0.closed();
    }
}
