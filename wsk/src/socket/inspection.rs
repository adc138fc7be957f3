//! [`Pended`]: a connection that a driver has yet to decide about, and [`InspectId`], its identifier.

#![forbid(unsafe_code)]

use core::fmt;
use core::mem::offset_of;

use wsk_sys::WSK_INSPECT_ID;

use crate::error::Error;
use crate::irp::Idle;
use crate::memory::Shared;
use crate::registration::Capture;
use crate::socket::{Handle, ListenCategory, Socket};

/// The identifier of a connection that is inspected before it is accepted. [`QueryInspectId`](crate::ioctl::QueryInspectId) asks an accepted
/// socket for its own.
///
/// [`WSK_INSPECT_ID`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_inspect_id).
///
/// ```
/// use std::sync::{Mutex, PoisonError}; // A driver has a spin lock.
/// use wsk::events::{AcceptEvent, InspectId, Inspection, Pended};
///
/// /// Keeps connections until it is known whether they may be made.
/// #[derive(Default)]
/// struct Waiting(Mutex<Vec<Pended>>);
///
/// impl AcceptEvent for Waiting {
///     fn inspect(&self, inspection: Inspection<'_>) {
///         if let Ok(pended) = inspection.pend() {
///             self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pended);
///         }
///     }
///
///     fn aborted(&self, id: InspectId) {
///         // The peer has given up.
///         self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|pended| pended.id() != id);
///     }
/// }
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let listener = wsk::ListenSocket::open_conditional(&provider, wsk::Family::V4, Waiting::default())?;
/// # drop((listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WSK_INSPECT_ID")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InspectId {
    key: usize,
    serial_number: u32,
}

impl InspectId {
    /// The size of C's structure.
    pub(crate) const SIZE: usize = size_of::<WSK_INSPECT_ID>();

    pub(crate) const fn new(id: &WSK_INSPECT_ID) -> Self {
        Self {
            key: id.Key,
            serial_number: id.SerialNumber,
        }
    }

    pub(crate) const fn from_parts(key: usize, serial_number: u32) -> Self {
        Self { key, serial_number }
    }

    /// The bytes of C's structure, with zeros for its padding.
    pub(crate) fn bytes(self) -> [u8; Self::SIZE] {
        const { assert!(offset_of!(WSK_INSPECT_ID, Key) == 0) };
        let mut bytes = [0; Self::SIZE];
        if let Some(place) = bytes.first_chunk_mut() {
            *place = self.key.to_ne_bytes();
        }
        let serial_number = bytes.get_mut(offset_of!(WSK_INSPECT_ID, SerialNumber)..);
        if let Some(place) = serial_number.and_then(<[u8]>::first_chunk_mut) {
            *place = self.serial_number.to_ne_bytes();
        }
        bytes
    }
}

/// A connection that the driver will decide about later: it [accepts](Self::accept) or [rejects](Self::reject) it once, at any IRQL up to
/// `DISPATCH_LEVEL`, on any thread. Dropping it rejects the connection.
///
/// It does not keep the listening socket open: when that closes, the pended connection is rejected, and an answer fails with
/// [`Error::Closed`]. So a handler may keep it in itself, and find it by its [`id`](Self::id) when the peer has
/// [given up](crate::events::AcceptEvent::aborted).
///
/// Drop it before the [`Registration`](crate::Registration), which waits for it.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use std::sync::mpsc::{Sender, channel}; // A driver has a queue of its own.
/// use wsk::events::{AcceptEvent, Inspection, Pended};
/// use wsk::{Family, ListenSocket};
///
/// /// Has a thread decide, which may take its time.
/// struct Ask(Sender<Pended>);
///
/// impl AcceptEvent for Ask {
///     fn inspect(&self, inspection: Inspection<'_>) {
///         if let Ok(pended) = inspection.pend() {
///             let _ = self.0.send(pended);
///         }
///     }
/// }
///
/// let (ask, asked) = channel();
/// let listener = ListenSocket::open_conditional(&provider, Family::V4, Ask(ask))?;
/// listener.bind(([127, 0, 0, 1], 0))?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// # let pended = asked.recv().unwrap();
/// // On that thread:
/// pended.accept().wait()?;
/// let (socket, _) = listener.accept().wait()?;
/// # assert_eq!(socket.remote_address()?, peer.local_addr().unwrap());
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[must_use = "dropping it rejects the connection"]
pub struct Pended {
    listener: Shared<Socket<ListenCategory>>,
    id: InspectId,
    /// The operation that rejects the connection, until it is decided.
    rejecting: Option<Idle<()>>,
    /// A handle that keeps the listener open while WSK gets the answer.
    open: Option<Handle<ListenCategory>>,
}

impl Pended {
    /// Allocates the operation that rejects it, so that dropping it cannot fail for lack of memory.
    pub(crate) fn new(
        listener: &Shared<Socket<ListenCategory>>,
        id: InspectId,
    ) -> Result<Self, Error> {
        Ok(Self {
            rejecting: Some(Idle::new()?),
            listener: listener.clone(),
            id,
            open: None,
        })
    }

    /// The identifier of the connection.
    #[must_use]
    pub const fn id(&self) -> InspectId {
        self.id
    }

    /// The capture that keeps the driver from being unloaded.
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        self.listener.capture()
    }

    /// Keeps the listener open from now on.
    pub(crate) fn keep_open(&mut self) -> Result<(), Error> {
        self.open = Some(Handle::from_open(&self.listener).ok_or(Error::Closed)?);
        Ok(())
    }

    /// The listener, if it is kept open.
    pub(crate) const fn kept_open(&self) -> Option<&Handle<ListenCategory>> {
        self.open.as_ref()
    }

    /// Notes that the connection is decided, so that dropping this does not reject it.
    pub(crate) fn decided(&mut self) {
        self.rejecting = None;
    }
}

impl Drop for Pended {
    fn drop(&mut self) {
        let Some(operation) = self.rejecting.take() else {
            return;
        };
        // Closing the listener has rejected the connection.
        let Some(listener) = self
            .open
            .take()
            .or_else(|| Handle::from_open(&self.listener))
        else {
            return;
        };
        listener.reject(operation, self.id);
    }
}

impl fmt::Debug for Pended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pended")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
