//! Receive events: WSK calls the driver when datagrams arrive, through `WskReceiveFromEvent` of
//! `WSK_CLIENT_DATAGRAM_DISPATCH`.

#![forbid(unsafe_code)]

use core::fmt;

use wsk_sys::{MSG_BCAST, MSG_MCAST, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_FLAG_RELEASE_ASAP};

use crate::error::Error;
use crate::events::handler::{AT_DISPATCH_LEVEL, Handler};
use crate::memory::Shared;
use crate::socket::callbacks;
use crate::socket::datagram_events::DatagramHandler;
use crate::socket::event_context::Events;
use crate::socket::indicated::Datagrams;
use crate::socket::open::Arrived;
use crate::socket::retained::Retained;
use crate::socket::{DatagramCategory, DatagramSocket, Handle, Socket};

/// The handler of a datagram socket: WSK calls it when datagrams arrive.
///
/// The functions run at up to `DISPATCH_LEVEL`, on any thread, at the same time as each other and as a close; never after the
/// close has completed.
///
/// They must not call anything that waits until they have returned: not
/// [`close`](DatagramSocket::close) or [`disable_receive_events`](DatagramSocket::disable_receive_events) of their socket, and they must not
/// drop the [`Registration`](crate::Registration). At `PASSIVE_LEVEL` the call would wait for itself, for ever; at `DISPATCH_LEVEL` it is an
/// error. Dropping a handle of the socket is allowed, because it does not wait.
///
/// A handler that panics [aborts](crate::events). A closure that takes a `&mut Indication<'_>` is one too, and
/// [more about handlers](crate::events).
///
/// [`WskReceiveFromEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from_event).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let to = peer.local_addr().unwrap();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
/// # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use wsk::events::{Indication, ReceiveFromEvent, Verdict};
/// use wsk::{DatagramSocket, Family};
///
/// /// Counts what arrives.
/// struct Counter(AtomicUsize);
///
/// impl ReceiveFromEvent for Counter {
///     fn received(&self, indication: &mut Indication<'_>) -> Verdict {
///         self.0.fetch_add(indication.datagrams().count(), Ordering::Relaxed);
///         Verdict::Consumed
///     }
/// }
///
/// let counting = DatagramSocket::open_with_events(&provider, Family::V4, Counter(AtomicUsize::new(0)))?;
/// counting.bind(Family::V4.any())?;
/// counting.enable_receive_events()?;
/// # drop((counting, socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WskReceiveFromEvent", "WSK_CLIENT_DATAGRAM_DISPATCH"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the datagrams that arrive",
    label = "not a handler",
    note = "implement `ReceiveFromEvent` for it"
)]
pub trait ReceiveFromEvent: Send + Sync + 'static {
    /// Datagrams have arrived. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// The driver may use them until this returns. [`Indication::retain`] lets it keep them longer.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict;

    /// The socket is dead and has to be closed. IRQL: `<= DISPATCH_LEVEL`.
    fn closed(&self) {}
}

#[diagnostic::do_not_recommend]
impl<F: Fn(&mut Indication<'_>) -> Verdict + Send + Sync + 'static> ReceiveFromEvent for F {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        self(indication)
    }
}

impl DatagramSocket {
    /// The handler that it was opened with, if it is of this type. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn handler<H: ReceiveFromEvent>(&self) -> Option<&H> {
        let handler = self.handle.handler::<Handler<H>>()?;
        Some(&handler.0)
    }
}

/// A handler's answer about datagrams that it has not retained.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use wsk::events::{Indication, Verdict};
/// use wsk::{DatagramSocket, Family};
///
/// static PAUSED: AtomicBool = AtomicBool::new(true);
///
/// /// Leaves the datagrams with WSK while the driver pauses.
/// fn received(_: &mut Indication<'_>) -> Verdict {
///     if PAUSED.load(Ordering::Relaxed) {
///         Verdict::NotAccepted
///     } else {
///         Verdict::Consumed
///     }
/// }
///
/// let socket = DatagramSocket::open_with_events(&provider, Family::V4, received)?;
/// socket.bind(([127, 0, 0, 1], 0))?;
/// socket.enable_receive_events()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// // WSK has kept the datagram for a receive.
/// let mut bytes = [0; 16];
/// assert_eq!(socket.receive_from(&mut bytes).wait()?.length(), 5);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// The handler has processed them.
    #[default]
    Consumed,
    /// The handler accepts none of them: WSK buffers what it can, and indicates nothing until events are enabled again.
    NotAccepted,
}

/// Datagrams that WSK indicates to a driver.
///
/// ```
/// # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::events::{Indication, Verdict};
/// use wsk::{DatagramSocket, Family, NonPagedBuffer};
///
/// /// Answers each datagram with the number of its bytes.
/// fn received(indication: &mut Indication<'_>) -> Verdict {
///     let Some(socket) = indication.socket() else {
///         return Verdict::Consumed;
///     };
///     for datagram in indication.datagrams() {
///         let answer = NonPagedBuffer::copy_of(&datagram.len().to_be_bytes());
///         if let (Ok(answer), Ok(from)) = (answer, datagram.remote_address()) {
///             drop(socket.send_to(answer, from).start());
///         }
///     }
///     Verdict::Consumed
/// }
///
/// let socket = DatagramSocket::open_with_events(&provider, Family::V4, received)?;
/// socket.bind(([127, 0, 0, 1], 0))?;
/// socket.enable_receive_events()?;
/// # peer.send_to(b"hello", socket.local_address()?).unwrap();
/// # let mut answer = [0; 8];
/// # peer.recv(&mut answer).unwrap();
/// # assert_eq!(usize::from_be_bytes(answer), 5);
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// # Invariants
///
/// `list` is the list that WSK gave the callback for `'i`, until [`retain`](Self::retain) gives it to a [`Retained`].
#[doc(alias = "WSK_DATAGRAM_INDICATION")]
pub struct Indication<'i> {
    list: &'i mut Arrived<DatagramCategory>,
    flags: u32,
    socket: &'i Shared<Socket<DatagramCategory>>,
}

impl Indication<'_> {
    /// The datagrams, in the order in which they arrived.
    #[must_use]
    pub fn datagrams(&self) -> Datagrams<'_> {
        // Retained datagrams may be released at any moment, so they are not shown.
        Datagrams::of(self.list.iter())
    }

    /// Keeps the datagrams after the callback, whatever it returns. `None` if they are kept already, or the socket is being closed.
    ///
    /// They hold memory of the network stack, and keep the socket open: drop them soon. A handler must not keep them in itself: the
    /// socket would never close by its last handle.
    #[must_use]
    pub fn retain(&mut self) -> Option<Retained> {
        // The callback tells WSK that they were retained.
        Retained::of(self.list, self.socket)
    }

    /// A handle of the socket, to answer with; `None` when it is being closed.
    ///
    /// A handler must not keep it in itself: the socket would never close by its last handle.
    #[must_use]
    pub fn socket(&self) -> Option<DatagramSocket> {
        let handle = Handle::from_open(self.socket)?;
        Some(DatagramSocket { handle })
    }

    /// Whether they were sent to a broadcast address.
    #[must_use]
    pub const fn broadcast(&self) -> bool {
        self.flags & MSG_BCAST != 0
    }

    /// Whether they were sent to a multicast address.
    #[must_use]
    pub const fn multicast(&self) -> bool {
        self.flags & MSG_MCAST != 0
    }

    /// Whether WSK asks the driver to release them soon.
    #[must_use]
    pub const fn release_soon(&self) -> bool {
        self.flags & WSK_FLAG_RELEASE_ASAP != 0
    }

    /// Whether WSK says that it calls the handler at `DISPATCH_LEVEL`. If not, the IRQL is any up to that.
    #[doc(alias = "WSK_FLAG_AT_DISPATCH_LEVEL")]
    #[must_use]
    pub const fn at_dispatch_level(&self) -> bool {
        self.flags & AT_DISPATCH_LEVEL != 0
    }
}

impl fmt::Debug for Indication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indication")
            .field("flags", &self.flags)
            .field("retained", &self.list.is_kept())
            .finish()
    }
}

/// Makes the event callbacks of a datagram socket, which call `handler`.
pub(crate) fn of_datagrams<H: ReceiveFromEvent>(
    handler: H,
) -> Result<Events<WSK_CLIENT_DATAGRAM_DISPATCH>, Error> {
    callbacks::of_datagrams(Handler(handler))
}

impl<H: ReceiveFromEvent> DatagramHandler for Handler<H> {
    fn arrived(
        &self,
        list: &mut Arrived<DatagramCategory>,
        flags: u32,
        socket: &Shared<Socket<DatagramCategory>>,
    ) -> bool {
        let mut indication = Indication {
            list,
            flags,
            socket,
        };
        self.0.received(&mut indication) == Verdict::Consumed
    }

    fn died(&self) {
        self.0.closed();
    }
}
