//! Receive events: WSK calls the driver when datagrams arrive, through `WskReceiveFromEvent` of
//! `WSK_CLIENT_DATAGRAM_DISPATCH`.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    MSG_BCAST, MSG_MCAST, NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION, WSK_FLAG_RELEASE_ASAP,
    WskClientDatagramDispatchEvents, wsk_client_datagram_dispatch_table,
};

use crate::address;
use crate::buffer::ControlMessages;
use crate::error::Error;
use crate::events::Pieces;
use crate::memory;
use crate::memory::shared::Shared;
use crate::socket::event_context::{Context, Events};
use crate::socket::{DatagramCategory, DatagramSocket, Handle, Socket};

/// What a driver does when datagrams arrive at a socket.
///
/// The functions run at up to `DISPATCH_LEVEL`, on any thread, at the same time as each other and as a close; never after the
/// close has completed.
///
/// Whatever waits until they have returned must not be called from them: not
/// [`close`](DatagramSocket::close) or [`disable_receive_events`](DatagramSocket::disable_receive_events) of their socket, nor may
/// they drop the [`Registration`](crate::Registration). Where they run at `PASSIVE_LEVEL` that would wait for itself, for ever; above
/// it is an error. Dropping a handle of the socket is allowed, because it does not wait.
///
/// A handler that panics [aborts](crate::events).
///
/// [`WskReceiveFromEvent`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from_event).
#[doc(alias("WskReceiveFromEvent", "WSK_CLIENT_DATAGRAM_DISPATCH"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the datagrams that arrive",
    label = "not a handler",
    note = "implement `ReceiveFromEvent` for it"
)]
pub trait ReceiveFromEvent: Send + Sync + 'static {
    /// Datagrams have arrived. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// They are the driver's until this returns, or until it drops what [`Indication::retain`] gives.
    fn received(&self, indication: &mut Indication<'_>) -> Verdict;

    /// The socket is dead and has to be closed. IRQL: `<= DISPATCH_LEVEL`.
    fn closed(&self) {}
}

/// A handler's answer: what becomes of datagrams that were indicated and not retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// They have been dealt with.
    #[default]
    Consumed,
    /// They could not be dealt with: WSK buffers what it can, and indicates nothing until events are enabled again.
    NotAccepted,
}

/// Datagrams that WSK indicates to a driver.
///
/// # Invariants
///
/// `list` is a list of valid indications for as long as `'i`, which belong to the callback until it returns, or to the
/// [`Retained`] that was made of them.
#[doc(alias = "WSK_DATAGRAM_INDICATION")]
pub struct Indication<'i> {
    list: NonNull<WSK_DATAGRAM_INDICATION>,
    flags: u32,
    socket: &'i Shared<Socket<DatagramCategory>>,
    retained: bool,
}

impl Indication<'_> {
    /// The datagrams, in the order in which they arrived.
    #[must_use]
    pub fn datagrams(&self) -> Datagrams<'_> {
        // Once retained, they may be released at any moment.
        let next = if self.retained {
            core::ptr::null()
        } else {
            self.list.as_ptr().cast_const()
        };
        Datagrams {
            next,
            indication: PhantomData,
        }
    }

    /// Keeps the datagrams beyond the callback, whatever that returns; `None` when they are kept already, or the socket is being
    /// closed.
    ///
    /// They hold on to memory of the network stack, and keep the socket open: drop them soon. A handler that keeps them in itself
    /// keeps its socket from ever closing by the last handle.
    #[must_use]
    pub fn retain(&mut self) -> Option<Retained> {
        if self.retained {
            return None;
        }
        let socket = self.socket()?;
        self.retained = true;
        // INVARIANT: the callback will tell WSK that they were retained.
        Some(Retained {
            list: self.list,
            socket,
        })
    }

    /// A handle of the socket at which they arrived, to answer with; `None` when it is being closed.
    ///
    /// A handler that keeps it in itself keeps its socket from ever closing by the last handle.
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

    /// Whether WSK asks that they are not kept for long.
    #[must_use]
    pub const fn release_soon(&self) -> bool {
        self.flags & WSK_FLAG_RELEASE_ASAP != 0
    }
}

impl fmt::Debug for Indication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indication")
            .field("flags", &self.flags)
            .field("retained", &self.retained)
            .finish()
    }
}

/// Datagrams that a driver keeps after the event that brought them. Dropping it gives them back, at any IRQL up to
/// `DISPATCH_LEVEL`.
///
/// [`WskRelease`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_datagram_indication_list).
///
/// # Invariants
///
/// `list` is a list of valid indications that were retained from the open socket and not released. It is not `Sync`: to look at
/// a datagram may be to map its MDLs, which writes them.
#[doc(alias = "WskRelease")]
pub struct Retained {
    list: NonNull<WSK_DATAGRAM_INDICATION>,
    socket: DatagramSocket,
}

// SAFETY: the indications are memory that belongs to this value, not to a thread.
unsafe impl Send for Retained {}

impl Retained {
    /// The datagrams, in the order in which they arrived.
    #[must_use]
    pub fn datagrams(&self) -> Datagrams<'_> {
        Datagrams {
            next: self.list.as_ptr(),
            indication: PhantomData,
        }
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        let socket = &self.socket.handle;
        // SAFETY: by the invariant the list was retained from this socket, which is open while there is a handle, and is released
        // this once. A provider without the entry gave no indications.
        let _ = unsafe { socket.dispatch().wsk_release(socket.as_ptr(), self.list) };
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.datagrams()).finish()
    }
}

/// Iterates over indicated datagrams.
///
/// # Invariants
///
/// `next` is null, or a list of indications that are valid for `'i`.
#[derive(Clone)]
pub struct Datagrams<'i> {
    next: *const WSK_DATAGRAM_INDICATION,
    indication: PhantomData<&'i WSK_DATAGRAM_INDICATION>,
}

impl<'i> Iterator for Datagrams<'i> {
    type Item = Datagram<'i>;

    fn next(&mut self) -> Option<Datagram<'i>> {
        // SAFETY: by the invariant it is null or valid for `'i`.
        let indication = unsafe { self.next.as_ref() }?;
        self.next = indication.Next;
        Some(Datagram { indication })
    }
}

impl core::iter::FusedIterator for Datagrams<'_> {}

impl fmt::Debug for Datagrams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A datagram that was indicated.
///
/// # Invariants
///
/// The indication, its MDL chain, address and control information are valid for `'i`.
#[derive(Clone, Copy)]
pub struct Datagram<'i> {
    indication: &'i WSK_DATAGRAM_INDICATION,
}

impl<'i> Datagram<'i> {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.indication.Buffer.Length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who sent it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAddress`] for what is neither an IPv4 nor an IPv6 address.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        // SAFETY: by the invariant this is a socket address, or null.
        unsafe { address::read_raw(self.indication.RemoteAddress) }
    }

    /// The payload, piece by piece as it lies in the MDL chain.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'i> {
        // SAFETY: by the invariant the chain is valid for `'i`.
        unsafe { Pieces::of(&self.indication.Buffer) }
    }

    /// Copies the payload to `to`, as much as fits; the number of bytes that were copied. Memory that cannot be mapped is where
    /// it ends.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let mut copied = 0;
        for piece in self.pieces() {
            let Some(room) = to.get_mut(copied..) else {
                break;
            };
            copied += memory::copy(piece, room);
        }
        copied
    }

    /// The control information.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'i> {
        let (bytes, length) = (
            self.indication.ControlInfo,
            self.indication.ControlInfoLength,
        );
        if bytes.is_null() {
            return ControlMessages::new(&[]);
        }
        // SAFETY: by the invariant there are that many bytes, for `'i`.
        ControlMessages::new(unsafe { core::slice::from_raw_parts(bytes.cast(), length as usize) })
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("length", &self.len())
            .field("from", &self.remote_address())
            .finish()
    }
}

/// The events of a datagram socket that are told to `handler`.
pub(crate) fn of_datagrams<H: ReceiveFromEvent>(
    handler: H,
) -> Result<Events<WSK_CLIENT_DATAGRAM_DISPATCH>, Error> {
    Events::new(handler, wsk_client_datagram_dispatch_table::<Thunks<H>>())
}

/// The callbacks for handlers of type `H`.
struct Thunks<H>(PhantomData<H>);

// SAFETY: the callback does what WSK documents: it returns `STATUS_PENDING` exactly where the indications were retained, and
// neither blocks nor keeps anything else.
#[dispatch_events]
unsafe impl<H: ReceiveFromEvent> WskClientDatagramDispatchEvents for Thunks<H> {
    unsafe fn wsk_receive_from_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        data_indication: Option<NonNull<WSK_DATAGRAM_INDICATION>>,
    ) -> NTSTATUS {
        let Some(context) = socket_context else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        // SAFETY: the context is the one that the socket was made with, and lives until its close has completed.
        let context = unsafe { Context::<H>::from_raw(context) };
        let Some(list) = data_indication else {
            context.handler().closed();
            return STATUS_SUCCESS;
        };
        // SAFETY: the socket's memory lives until the close has completed, which waits for this callback.
        let Some(socket) = (unsafe { context.socket::<Socket<DatagramCategory>>() }) else {
            return STATUS_DATA_NOT_ACCEPTED;
        };
        let mut indication = Indication {
            list,
            flags,
            socket: &socket,
            retained: false,
        };
        let verdict = context.handler().received(&mut indication);
        match (indication.retained, verdict) {
            (true, _) => STATUS_PENDING,
            (false, Verdict::Consumed) => STATUS_SUCCESS,
            (false, Verdict::NotAccepted) => STATUS_DATA_NOT_ACCEPTED,
        }
    }
}
