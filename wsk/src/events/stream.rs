//! Events of connections: WSK calls the driver when data has arrived or the peer disconnects, through
//! `WSK_CLIENT_CONNECTION_DISPATCH`.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_DATA_INDICATION, WSK_FLAG_ABORTIVE,
    WSK_FLAG_AT_DISPATCH_LEVEL, WSK_FLAG_ENTIRE_MESSAGE, WSK_FLAG_RELEASE_ASAP,
    WskClientConnectionDispatchEvents, wsk_client_connection_dispatch_table,
};

use crate::buffer::{Pieces, pieces};
use crate::error::Error;
use crate::memory::shared::Shared;
use crate::socket::event_context::{Context, Events};
use crate::socket::{ConnectedSocket, ConnectionCategory, ConnectionSocket, Handle, Socket};

/// The flag, among the others.
const AT_DISPATCH_LEVEL: u32 = WSK_FLAG_AT_DISPATCH_LEVEL as u32;

/// The events of a connection, ready for WSK.
type ConnectionEvents = Events<WSK_CLIENT_CONNECTION_DISPATCH>;

/// What a driver does when something happens to a connection.
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
    /// They are the driver's until this returns, or until it drops what [`StreamIndication::retain`] gives.
    ///
    /// [`WskReceiveEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_event).
    ///
    /// A handler that leaves it out accepts none: they stay for a receive. It need not be told of them at all, where
    /// [the other events alone](ConnectedSocket::enable) are enabled.
    #[doc(alias = "WskReceiveEvent")]
    fn received(&self, _: &mut StreamIndication<'_>) -> StreamVerdict {
        StreamVerdict::NotAccepted
    }

    /// The peer has disconnected: gracefully, when nothing more arrives but can still be sent, or by aborting the
    /// connection. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// [`WskDisconnectEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect_event).
    #[doc(alias = "WskDisconnectEvent")]
    fn disconnected(&self, _: &Disconnection<'_>) {}

    /// The number of bytes that should be in flight to keep the connection busiest has changed. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// It is told only where [that event](crate::events::ConnectionEvents::SEND_BACKLOG) is enabled by name; what the number is
    /// meanwhile [`IdealSendBacklog`](crate::ioctl::IdealSendBacklog) asks.
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
        self.handle.handler()
    }
}

impl ConnectionSocket {
    /// The handler that it was opened with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: ConnectionEvent>(&self) -> Option<&H> {
        self.handle.handler()
    }
}

/// The news that the peer has disconnected.
pub struct Disconnection<'i> {
    flags: u32,
    socket: Option<&'i Shared<Socket<ConnectionCategory>>>,
}

impl Disconnection<'_> {
    /// Whether it has aborted the connection: nothing more can be sent or received. Else it has ended it gracefully: all that
    /// it has sent was received, and it receives still.
    #[doc(alias = "WSK_FLAG_ABORTIVE")]
    #[must_use]
    pub const fn is_abortive(&self) -> bool {
        self.flags & WSK_FLAG_ABORTIVE != 0
    }

    /// Whether this is told at `DISPATCH_LEVEL`; else it may be at any IRQL up to that.
    #[doc(alias = "WSK_FLAG_AT_DISPATCH_LEVEL")]
    #[must_use]
    pub const fn at_dispatch_level(&self) -> bool {
        self.flags & AT_DISPATCH_LEVEL != 0
    }

    /// A handle of the socket, to answer with; `None` when it is being closed.
    ///
    /// A handler that keeps it in itself keeps its socket from ever closing by the last handle.
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

/// The news that the number of bytes has changed which should be in flight to keep a connection busiest.
pub struct SendBacklog<'i> {
    ideal: usize,
    socket: Option<&'i Shared<Socket<ConnectionCategory>>>,
}

impl SendBacklog<'_> {
    /// The bytes that should have been passed to sends that are not over. With fewer the connection idles, with more it gains nothing.
    #[must_use]
    pub const fn ideal(&self) -> usize {
        self.ideal
    }

    /// A handle of the socket, to send with; `None` when it is being closed.
    ///
    /// A handler that keeps it in itself keeps its socket from ever closing by the last handle.
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

/// A handler's answer: what becomes of bytes that were indicated and not retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamVerdict {
    /// They have been dealt with.
    #[default]
    Consumed,
    /// So many of them, from the first on, have been dealt with. WSK buffers the rest, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    ConsumedPart(usize),
    /// They could not be dealt with: WSK buffers them, and indicates nothing until a receive, or
    /// [`resume_events`](ConnectedSocket::resume_events).
    NotAccepted,
}

/// Bytes that WSK indicates to a driver.
///
/// # Invariants
///
/// `list` is a list of valid indications for as long as `'i`, which belong to the callback until it returns, or to the
/// [`RetainedBytes`] that were made of them.
#[doc(alias = "WSK_DATA_INDICATION")]
pub struct StreamIndication<'i> {
    list: NonNull<WSK_DATA_INDICATION>,
    length: usize,
    flags: u32,
    socket: &'i Shared<Socket<ConnectionCategory>>,
    retained: bool,
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
        // Once retained, they may be released at any moment.
        let next = if self.retained {
            core::ptr::null()
        } else {
            self.list.as_ptr().cast_const()
        };
        // SAFETY: by the invariant the list is valid while this is borrowed, unless it was retained, and to retain it takes this
        // exclusively.
        unsafe { StreamPieces::new(next) }
    }

    /// Copies the bytes to `to`, as many as fit; how many were copied. Memory that cannot be mapped is where it ends.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the bytes from `offset` on to `to`, as many as fit; how many were copied. What lies before the offset is not looked at.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().from(offset), to)
    }

    /// Keeps the bytes beyond the callback, whatever that returns; `None` when they are kept already, or the socket is being
    /// closed.
    ///
    /// They hold on to memory of the network stack, and keep the socket open: drop them soon. A handler that keeps them in itself
    /// keeps its socket from ever closing by the last handle.
    #[must_use]
    pub fn retain(&mut self) -> Option<RetainedBytes> {
        if self.retained {
            return None;
        }
        let socket = self.socket()?;
        self.retained = true;
        // INVARIANT: the callback will tell WSK that they were retained.
        Some(RetainedBytes {
            list: self.list,
            length: self.length,
            socket,
        })
    }

    /// A handle of the socket, to answer with; `None` when it is being closed.
    ///
    /// A handler that keeps it in itself keeps its socket from ever closing by the last handle.
    #[must_use]
    pub fn socket(&self) -> Option<ConnectedSocket> {
        let handle = Handle::from_open(self.socket)?;
        Some(ConnectedSocket { handle })
    }

    /// Whether the sender has pushed what ends here: for TCP, the push bit was set.
    #[doc(alias = "WSK_FLAG_ENTIRE_MESSAGE")]
    #[must_use]
    pub const fn pushed(&self) -> bool {
        self.flags & WSK_FLAG_ENTIRE_MESSAGE != 0
    }

    /// Whether WSK asks that they are not kept for long.
    #[doc(alias = "WSK_FLAG_RELEASE_ASAP")]
    #[must_use]
    pub const fn release_soon(&self) -> bool {
        self.flags & WSK_FLAG_RELEASE_ASAP != 0
    }

    /// Whether this is told at `DISPATCH_LEVEL`; else it may be at any IRQL up to that.
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
            .field("retained", &self.retained)
            .finish_non_exhaustive()
    }
}

/// Bytes that a driver keeps after the event that brought them. Dropping it gives them back, at any IRQL up to
/// `DISPATCH_LEVEL`.
///
/// [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_data_indication_list).
///
/// # Invariants
///
/// `list` is a list of valid indications that were retained from the open socket and not released. It is not `Sync`: to look at
/// the bytes may be to map their MDLs, which writes them.
#[doc(alias = "WskRelease")]
pub struct RetainedBytes {
    list: NonNull<WSK_DATA_INDICATION>,
    length: usize,
    socket: ConnectedSocket,
}

// SAFETY: the indications are memory that belongs to this value, not to a thread.
unsafe impl Send for RetainedBytes {}

impl RetainedBytes {
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
        // SAFETY: by the invariant the list is not released before this is dropped.
        unsafe { StreamPieces::new(self.list.as_ptr()) }
    }

    /// Copies the bytes to `to`, as many as fit; how many were copied. Memory that cannot be mapped is where it ends.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces(), to)
    }

    /// Copies the bytes from `offset` on to `to`, as many as fit; how many were copied. What lies before the offset is not looked at.
    pub fn copy_from(&self, offset: usize, to: &mut [u8]) -> usize {
        pieces::copy(self.pieces().from(offset), to)
    }
}

impl Drop for RetainedBytes {
    fn drop(&mut self) {
        let socket = &self.socket.handle;
        // SAFETY: by the invariant the list was retained from this socket, which is open while there is a handle, and is released
        // this once. A provider without the entry gave no indications.
        let _ = unsafe { socket.dispatch().wsk_release(socket.as_ptr(), self.list) };
    }
}

impl fmt::Debug for RetainedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedBytes")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Iterates over the pieces of indicated bytes.
///
/// # Invariants
///
/// `next` is null, or a list of indications that are valid for `'i`.
#[derive(Debug, Clone)]
pub struct StreamPieces<'i> {
    next: *const WSK_DATA_INDICATION,
    pieces: Option<Pieces<'i>>,
    /// So many bytes of what is next are left out.
    skip: usize,
}

impl StreamPieces<'_> {
    /// # Safety
    ///
    /// `list` is null, or a list of indications that are valid for the lifetime that the caller chooses.
    const unsafe fn new(list: *const WSK_DATA_INDICATION) -> Self {
        // INVARIANT: the caller vouches for the list.
        Self {
            next: list,
            pieces: None,
            skip: 0,
        }
    }

    /// Those of the bytes from `offset` on, of what has not been begun.
    const fn from(self, offset: usize) -> Self {
        Self {
            skip: offset,
            ..self
        }
    }
}

impl<'i> Iterator for StreamPieces<'i> {
    type Item = &'i [u8];

    fn next(&mut self) -> Option<&'i [u8]> {
        loop {
            if let Some(pieces) = &mut self.pieces {
                if let Some(piece) = pieces.next() {
                    return Some(piece);
                }
                if !pieces.is_complete() {
                    // It cannot be mapped: what follows would be taken for what is missing.
                    self.next = core::ptr::null();
                }
                self.pieces = None;
            }
            // SAFETY: by the invariant it is null or valid for `'i`, and so is its buffer.
            let (next, length, pieces) = unsafe {
                let indication = self.next.as_ref()?;
                let pieces = Pieces::of(&indication.Buffer);
                (indication.Next, indication.Buffer.Length, pieces)
            };
            self.next = next;
            self.pieces = Some(pieces.part(self.skip, usize::MAX));
            self.skip = self.skip.saturating_sub(length);
        }
    }
}

impl core::iter::FusedIterator for StreamPieces<'_> {}

/// The events of a connection that are told to `handler`.
pub(crate) fn of_connection<H: ConnectionEvent>(handler: H) -> Result<ConnectionEvents, Error> {
    Events::new(
        handler,
        wsk_client_connection_dispatch_table::<ConnectionThunks<H>>(),
    )
}

/// The callbacks of connections for handlers of type `H`.
struct ConnectionThunks<H>(PhantomData<H>);

// SAFETY: the callbacks do what WSK documents: a receive event returns `STATUS_PENDING` exactly where the indications were
// retained, and neither blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<H: ConnectionEvent> WskClientConnectionDispatchEvents for ConnectionThunks<H> {
    unsafe fn wsk_receive_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATA_INDICATION>>,
        bytes_indicated: usize,
        bytes_accepted: Option<NonNull<usize>>,
    ) -> NTSTATUS {
        let Some(context) = socket_context else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        // SAFETY: the context is the one that the socket was made with; both live until its close has completed, which waits for
        // this callback.
        let (context, socket) =
            unsafe { Context::<H>::of_callback::<Socket<ConnectionCategory>>(context) };
        let Some(list) = data_indication else {
            context.handler().closed();
            return STATUS_SUCCESS;
        };
        let Some(socket) = socket else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        let mut indication = StreamIndication {
            list,
            length: bytes_indicated,
            flags,
            socket: &socket,
            retained: false,
        };
        let verdict = context.handler().received(&mut indication);
        match verdict {
            _ if indication.retained => STATUS_PENDING,
            StreamVerdict::Consumed => STATUS_SUCCESS,
            StreamVerdict::ConsumedPart(0) | StreamVerdict::NotAccepted => STATUS_DATA_NOT_ACCEPTED,
            StreamVerdict::ConsumedPart(part) => {
                if let Some(bytes_accepted) = bytes_accepted {
                    // SAFETY: WSK gives a place for the number.
                    unsafe { bytes_accepted.write(part.min(bytes_indicated)) };
                }
                STATUS_SUCCESS
            }
        }
    }

    unsafe fn wsk_disconnect_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
    ) -> NTSTATUS {
        if let Some(context) = socket_context {
            // SAFETY: the context is the one that the socket was made with; both live until its close has completed, which waits for
            // this callback.
            let (context, socket) =
                unsafe { Context::<H>::of_callback::<Socket<ConnectionCategory>>(context) };
            context.handler().disconnected(&Disconnection {
                flags,
                socket: socket.as_deref(),
            });
        }
        STATUS_SUCCESS
    }

    unsafe fn wsk_send_backlog_event(
        socket_context: Option<NonNull<c_void>>,
        ideal_backlog_size: usize,
    ) -> NTSTATUS {
        if let Some(context) = socket_context {
            // SAFETY: as for `wsk_disconnect_event`.
            let (context, socket) =
                unsafe { Context::<H>::of_callback::<Socket<ConnectionCategory>>(context) };
            context.handler().send_backlog_changed(&SendBacklog {
                ideal: ideal_backlog_size,
                socket: socket.as_deref(),
            });
        }
        STATUS_SUCCESS
    }
}
