//! What the handles of a socket share, whatever its category: the `WSK_SOCKET`, the operations that are set aside for it, and how it
//! is opened and closed.

mod category;
pub(crate) mod datagram_events;
pub(crate) mod either_events;
pub(crate) mod event_context;
pub(crate) mod indicated;
pub(crate) mod indicated_bytes;
pub(crate) mod inspection;
pub mod ioctl;
pub(crate) mod listen_events;
mod making;
pub mod option;
pub(crate) mod retained;
mod sockets;
pub(crate) mod stream;
pub(crate) mod stream_events;

pub(crate) use category::{
    BasicCategory, Category, Committed, ConnectionCategory, DatagramCategory, ListenCategory,
    StreamCategory,
};
pub(crate) use making::Making;
pub use sockets::{
    BasicSocket, ConnectedSocket, ConnectionSocket, DatagramSocket, ListenSocket, StreamSocket,
};

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use wsk_sys::{NTSTATUS, WSK_SOCKET};

use crate::address::Family;
use crate::error::Error;
use crate::irp::{Idle, Observer, Spares};
use crate::memory::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use crate::memory::shared::{Counted, Reserved, Shared};
use crate::registration::Capture;
use crate::socket::category::Entries as _;
use crate::socket::event_context::Events;

/// An open socket of the category `C`.
///
/// # Invariants
///
/// `socket` is open from when this is made, through `capture`, until `handles` is zero; then it is closed with the operation
/// in `closing`, once. Whoever calls the socket's functions has a handle. All `entries` are there when it is `ready`.
pub struct Socket<C: Category> {
    socket: NonNull<WSK_SOCKET>,
    dispatch: C::Dispatch,
    entries: C::Entries,
    capture: ManuallyDrop<Shared<Capture>>,
    family: Family,
    /// The bit of the family, once the socket is bound; 0 before, and where an entry is missing.
    ready: AtomicU8,
    /// Whether the remote address or destination is fixed, or about to be.
    pub(crate) fixed: AtomicBool,
    /// Whether the handler was, or is about to be, told control information.
    pub(crate) indicates_control: AtomicBool,
    /// Flags that go with every send.
    pub(crate) send_flags: AtomicU32,
    handles: AtomicUsize,
    /// The operations of requests that are waited for, when none of them is using it: one that sends, and one that receives.
    spares: Spares<2>,
    /// Closes the socket. Taken once.
    closing: Spares<1>,
    /// What WSK calls when something happens to the socket. Freed when the close has completed.
    events: Option<Events<C::Callbacks>>,
    /// What it was before it connected or listened, with the functions that it has.
    #[expect(dead_code, reason = "it is kept, as the dispatch table is part of it")]
    before: Option<Shared<Socket<StreamCategory>>>,
}

// SAFETY: WSK's functions may be called on any thread; the pointers are only passed to them. Capture, events and operations may be
// sent.
unsafe impl<C: Category> Send for Socket<C> {}
// SAFETY: WSK's functions may be called at the same time; the pointers are only passed to them. What changes is atomic.
unsafe impl<C: Category> Sync for Socket<C> {}

// SAFETY: the fields that are dropped with it do not know of the capture.
unsafe impl<C: Category> Counted for Socket<C> {
    type Last = Shared<Capture>;

    fn last(&mut self) -> Option<&mut ManuallyDrop<Shared<Capture>>> {
        Some(&mut self.capture)
    }
}

impl<C: Category> Socket<C> {
    /// The `WSK_SOCKET`.
    #[inline]
    pub(crate) const fn as_ptr(&self) -> NonNull<WSK_SOCKET> {
        self.socket
    }

    /// The provider's functions for the socket.
    #[inline]
    pub(crate) const fn dispatch(&self) -> C::Dispatch {
        self.dispatch
    }

    /// The functions that are called most.
    #[inline]
    pub(crate) const fn entries(&self) -> &C::Entries {
        &self.entries
    }

    /// The family that it was opened for.
    #[inline]
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    /// The capture that it was opened through.
    #[inline]
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }

    /// Whether it was opened with a handler for events.
    pub(crate) const fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// The handler for events, if it is of this type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        self.events.as_ref()?.handler()
    }

    /// The handler's events, if there are any.
    pub(crate) const fn events(&self) -> Option<&Events<C::Callbacks>> {
        self.events.as_ref()
    }

    /// The bit of the family, or 0 when the socket is not bound.
    #[inline]
    pub(crate) fn ready(&self) -> u8 {
        self.ready.load(Ordering::Acquire)
    }

    /// The socket is bound.
    pub(crate) fn set_bound(&self) {
        if self.entries.missing().is_none() {
            self.ready.store(self.family.bit(), Ordering::Release);
        }
    }

    #[inline]
    pub(crate) fn require_bound(&self) -> Result<(), Error> {
        if self.ready() == 0 {
            Err(self.why_not_ready())
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    fn why_not_ready(&self) -> Error {
        match self.entries.missing() {
            Some(entry) => Error::NoEntry { entry },
            None => Error::NotBound,
        }
    }

    /// An operation for a request that is waited for.
    #[inline]
    pub(crate) fn operation(&self) -> Result<Idle<()>, Error> {
        self.spares.take().map_or_else(Idle::new, Ok)
    }

    /// Gives an operation back.
    #[inline]
    pub(crate) fn give_back(&self, operation: Idle<()>) {
        self.spares.put(operation);
    }

    /// Closes the socket; its memory and the capture go when WSK has done so. IRQL: `<= DISPATCH_LEVEL`.
    fn close_without_waiting(this: Shared<Self>) {
        /// The observer of a close: drops the reference that was turned into `context`. If WSK could not close the socket it may
        /// still use it, and the reference stays.
        ///
        /// # Safety
        ///
        /// `context` came from `Shared::<Socket<C>>::into_raw` and is used this once.
        unsafe fn release<C: Category>(context: NonNull<c_void>, status: NTSTATUS) {
            if status.is_success() {
                // SAFETY: the caller gives the reference that `into_raw` made the context of, this once. WSK calls no event once the close
                // has completed, and who asks for the handler has a handle of the socket, of which there will be none.
                unsafe {
                    let socket = Shared::<Socket<C>>::from_raw(context);
                    if let Some(events) = socket.events() {
                        events.end();
                    }
                }
            }
        }
        let Some(operation) = this.closing.take() else {
            return;
        };
        let (socket, table) = (this.socket, C::basic(this.dispatch));
        // SAFETY: the observer takes the reference that is turned into its context, once; a socket's memory may go at any IRQL up to
        // DISPATCH_LEVEL, on any thread. The last handle is gone, so nothing calls the socket now or later, and it is closed once. There
        // are no parameters to point at anything.
        let launched = unsafe {
            let observer = Observer::new(release::<C>, Shared::into_raw(this));
            operation.launch_observed(observer, |irp| table.wsk_close_socket(socket, irp))
        };
        // A close that cannot even be called leaves the socket, and the reference to it, for ever.
        if let Ok(flight) = launched {
            flight.leave();
        }
    }
}

/// One of the handles of an open socket, which closes when the last is dropped.
///
/// # Invariants
///
/// It accounts for one of the socket's `handles`.
pub struct Handle<C: Category> {
    shared: ManuallyDrop<Shared<Socket<C>>>,
}

impl<C: Category> Handle<C> {
    /// The first handle of a socket.
    fn first(reserved: Reserved<Socket<C>>, socket: Socket<C>) -> Self {
        let shared = reserved.fill(socket);
        if C::COMMITTED
            && let Some(events) = &shared.events
        {
            // SAFETY: this is the socket that owns the events, of the category that its events are of; its memory stays until its close has
            // completed.
            unsafe { events.attach(Shared::as_raw(&shared)) };
        }
        // INVARIANT: the socket was made with one.
        Self {
            shared: ManuallyDrop::new(shared),
        }
    }
}

impl<C: Committed> Handle<C> {
    /// Another handle of a socket that is still open.
    pub(crate) fn from_open(socket: &Shared<Socket<C>>) -> Option<Self> {
        // The reference first: a handle that goes while this one is counted is not the last, and gives its reference up.
        let shared = socket.clone();
        let more = |handles: usize| (handles > 0).then(|| handles + 1);
        shared
            .handles
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        // INVARIANT: counted.
        Some(Self {
            shared: ManuallyDrop::new(shared),
        })
    }
}

impl<C: Category> Handle<C> {
    /// What the handles share, which may be closed while this is there.
    pub(crate) fn share(&self) -> Shared<Socket<C>> {
        Shared::clone(&self.shared)
    }

    /// The operation that closes the socket, with the socket, if this is the last handle.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when it is not.
    pub(crate) fn into_closing(self) -> Result<Closing<C>, Error> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the reference is taken out once.
        let socket = unsafe { ManuallyDrop::take(&mut this.shared) };
        if socket.handles.fetch_sub(1, Ordering::Release) != 1 {
            return Err(Error::InUse);
        }
        fence(Ordering::Acquire);
        let operation = socket.closing.take().ok_or(Error::Taken)?;
        Ok(Closing { socket, operation })
    }
}

/// A socket that has lost its last handle, and the operation to close it with.
pub(crate) struct Closing<C: Category> {
    pub(crate) socket: Shared<Socket<C>>,
    pub(crate) operation: Idle<()>,
}

impl<C: Category> Deref for Handle<C> {
    type Target = Socket<C>;

    #[inline]
    fn deref(&self) -> &Socket<C> {
        &self.shared
    }
}

impl<C: Committed> Clone for Handle<C> {
    fn clone(&self) -> Self {
        self.handles.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: counted.
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C: Category> Drop for Handle<C> {
    fn drop(&mut self) {
        // SAFETY: the reference is taken out once, here.
        let socket = unsafe { ManuallyDrop::take(&mut self.shared) };
        if socket.handles.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            Socket::close_without_waiting(socket);
        }
    }
}
