//! What the handles of a socket share, whatever its category: the `WSK_SOCKET`, the operations that are set aside for it, and how it
//! is opened and closed.

pub(crate) mod callbacks;
pub(crate) mod calls;
mod category;
pub(crate) mod datagram_events;
pub(crate) mod event_context;
pub(crate) mod indicated;
pub(crate) mod indicated_bytes;
pub(crate) mod indications;
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
pub(crate) use making::{Arriving, Making};
pub use sockets::{
    BasicSocket, ConnectedSocket, ConnectionSocket, DatagramSocket, ListenSocket, StreamSocket,
};

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use wsk_sys::{NTSTATUS, WSK_SOCKET};

use crate::address::Family;
use crate::error::{Call, Error};
use crate::irp::{Flight, Idle, Observer, Spares};
use crate::irql::MayWait;
use crate::memory::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use crate::memory::shared::{Counted, Reserved, Shared};
use crate::registration::{Capture, hold};
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

    /// The operations for requests that are waited for.
    #[inline]
    pub(crate) const fn spares(&self) -> &Spares<2> {
        &self.spares
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

    /// What the handles share, with this one counted still.
    fn into_shared(self) -> Shared<Socket<C>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the reference is taken out once.
        unsafe { ManuallyDrop::take(&mut this.shared) }
    }

    /// The operation that closes the socket, with the socket, if this is the last handle.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when it is not.
    pub(crate) fn into_closing(self) -> Result<Closing<C>, Error> {
        let socket = self.into_shared();
        if socket.handles.fetch_sub(1, Ordering::Release) != 1 {
            return Err(Error::InUse);
        }
        fence(Ordering::Acquire);
        Closing::of(socket)
    }
}

/// A handle that is borrowed, copied to where it is used: what it leads to need not be looked up again after each call of the kernel.
///
/// # Invariants
///
/// It is a copy of a handle that is borrowed for `'s`, and does not count.
pub struct NearHandle<'s, C: Category> {
    handle: ManuallyDrop<Handle<C>>,
    borrowed: PhantomData<&'s Handle<C>>,
}

impl<'s, C: Category> NearHandle<'s, C> {
    #[inline]
    pub(crate) const fn of(handle: &'s Handle<C>) -> Self {
        // INVARIANT: as this is made.
        Self {
            handle: copied(handle),
            borrowed: PhantomData,
        }
    }
}

/// A copy of a handle that does not count, for as long as the handle is borrowed.
#[inline]
const fn copied<C: Category>(handle: &Handle<C>) -> ManuallyDrop<Handle<C>> {
    // SAFETY: the copy is not dropped, and callers use it no longer than the handle is borrowed.
    unsafe {
        core::ptr::from_ref(handle)
            .cast::<ManuallyDrop<Handle<C>>>()
            .read()
    }
}

impl<C: Category> Clone for NearHandle<'_, C> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: it is borrowed as long.
        Self {
            handle: copied(&self.handle),
            borrowed: PhantomData,
        }
    }
}

impl<C: Category> Deref for NearHandle<'_, C> {
    type Target = Handle<C>;

    #[inline]
    fn deref(&self) -> &Handle<C> {
        &self.handle
    }
}

/// A socket that has lost its last handle, and the operation to close it with.
///
/// # Invariants
///
/// Nothing calls the socket now or later, and it is closed by this alone.
pub(crate) struct Closing<C: Category> {
    socket: Shared<Socket<C>>,
    operation: Idle<()>,
}

/// A socket that WSK was asked to close.
///
/// # Invariants
///
/// The flight is that of the socket's close.
struct Closed<C: Category> {
    socket: Shared<Socket<C>>,
    flight: Flight<()>,
}

impl<C: Category> Closing<C> {
    /// The socket that has just lost its last handle.
    fn of(socket: Shared<Socket<C>>) -> Result<Self, Error> {
        let operation = socket.closing.take().ok_or(Error::Taken)?;
        // INVARIANT: callers say so.
        Ok(Self { socket, operation })
    }

    fn begin(self) -> Result<Closed<C>, Error> {
        let Self { socket, operation } = self;
        let (place, table) = (socket.socket, C::basic(socket.dispatch));
        // SAFETY: by the invariant nothing calls the socket now or later, and it is closed once. There are no parameters to point at
        // anything.
        match unsafe { operation.launch(|irp| table.wsk_close_socket(place, irp)) } {
            Ok(flight) => Ok(Closed { socket, flight }),
            Err(refused) => {
                // A close that cannot even be called leaves the socket, and the reference to it, for ever.
                core::mem::forget(socket);
                Err(refused.error)
            }
        }
    }

    /// Closes the socket and waits until WSK is done with it.
    pub(crate) fn wait(self, may_wait: MayWait) -> Result<(), Error> {
        let Closed { socket, flight } = self.begin()?;
        let call = Call::WskCloseSocket;
        flight.wait_or_give_up(may_wait);
        match flight.end() {
            Ok(operation) => {
                let outcome = operation.outcome();
                drop(operation);
                // SAFETY: that was the close, which is over.
                unsafe { closed(socket, outcome.status) };
                outcome.check(call)
            }
            Err(flight) => {
                let status = flight.returned();
                flight.leave_observed(hold(socket.capture()));
                // WSK may still use the socket's memory, for events: it stays for ever.
                core::mem::forget(socket);
                Err(Error::Abandoned { call, status })
            }
        }
    }

    /// Closes the socket; its memory and the capture go when WSK has done so. IRQL: `<= DISPATCH_LEVEL`.
    fn leave(self) {
        /// The observer of a close, with the reference that was turned into `context`.
        ///
        /// # Safety
        ///
        /// `context` came from `Shared::<Socket<C>>::into_raw` and is used this once, when the close has completed.
        unsafe fn release<C: Category>(context: NonNull<c_void>, status: NTSTATUS) {
            // SAFETY: the caller gives the reference that `into_raw` made the context of, this once; that was the close.
            unsafe { closed(Shared::<Socket<C>>::from_raw(context), status) };
        }
        let Ok(Closed { socket, flight }) = self.begin() else {
            return;
        };
        // SAFETY: the observer takes the reference that is turned into its context, once; a socket's memory may go at any IRQL up to
        // DISPATCH_LEVEL, on any thread.
        flight.leave_observed(unsafe { Observer::new(release::<C>, Shared::into_raw(socket)) });
    }
}

/// Drops the reference to a socket, with the handler for its events. If WSK could not close it it may still use it, and the reference stays.
///
/// # Safety
///
/// Its close has completed with this status.
unsafe fn closed<C: Category>(socket: Shared<Socket<C>>, status: NTSTATUS) {
    if !status.is_success() {
        core::mem::forget(socket);
    } else if let Some(events) = socket.events() {
        // SAFETY: WSK calls no event once the close has completed, as the caller says, and who asks for the handler has a handle of the
        // socket, of which there will be none.
        unsafe { events.end() };
    }
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
            if let Ok(closing) = Closing::of(socket) {
                closing.leave();
            }
        }
    }
}
