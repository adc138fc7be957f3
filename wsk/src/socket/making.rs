//! [`Making`]: a socket that WSK is asked for, whoever makes it: `WskSocket`, `WskSocketConnect`, `WskAccept` or an accept event.

use core::cell::Cell;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{WSK_CLIENT_CONNECTION_DISPATCH, WSK_SOCKET};

use crate::address::Family;
use crate::error::{Error, Memory};
use crate::irp::{Idle, Spares};
use crate::memory::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use crate::memory::shared::{Reserved, Shared};
use crate::registration::{Capture, Owner, OwnerPointers, Provider};
use crate::socket::category::{Entries as _, OfStream};
use crate::socket::event_context::Events;
use crate::socket::{Category, ConnectionCategory, Handle, Socket, StreamCategory};

/// All that a socket needs besides what WSK gives, so that nothing can fail once WSK has made it.
struct Prepared<C: Category> {
    reserved: Reserved<Socket<C>>,
    closing: Idle<()>,
    /// Of one that sends and of one that receives at the same time.
    spares: [Idle<()>; 2],
}

/// A socket that is being made. When nobody takes it, it is closed.
///
/// # Invariants
///
/// `socket`, if there is one, is open, of this category, made through the capture with the callbacks of `events`, and nobody
/// else's; then there is what was `prepared`.
pub struct Making<C: Category> {
    capture: Shared<Capture>,
    /// Whose socket it is: kept until WSK has made it.
    owner: Owner,
    family: Family,
    /// The handler's events.
    events: Option<Events<C::Callbacks>>,
    /// There is a handler, and no room for its events.
    lacks_room: bool,
    prepared: Option<Prepared<C>>,
    socket: Option<NonNull<WSK_SOCKET>>,
    bound: bool,
    /// The local address of `WskSocketConnect`.
    pub(crate) local: C::Local,
}

// SAFETY: it has what a socket is made of, which may be sent, the socket itself, and memory that is its own.
unsafe impl<C: Category> Send for Making<C> {}
// SAFETY: through `&Making` nothing is done but to read addresses.
unsafe impl<C: Category> Sync for Making<C> {}

impl<C: Category> Making<C> {
    /// A socket to be made, which is bound when it is there or has to be bound first. Allocates nothing.
    pub(crate) fn new(
        capture: &Shared<Capture>,
        family: Family,
        bound: bool,
        events: Option<Events<C::Callbacks>>,
    ) -> Self {
        Self::owned(capture, Owner::default(), family, bound, events)
    }

    fn owned(
        capture: &Shared<Capture>,
        owner: Owner,
        family: Family,
        bound: bool,
        events: Option<Events<C::Callbacks>>,
    ) -> Self {
        // INVARIANT: no socket.
        Self {
            capture: capture.clone(),
            owner,
            family,
            events,
            lacks_room: false,
            prepared: None,
            socket: None,
            bound,
            local: C::Local::default(),
        }
    }

    /// A socket to be made as the provider has it: with its owner.
    pub(crate) fn of(
        provider: &Provider,
        family: Family,
        bound: bool,
        events: Option<Events<C::Callbacks>>,
    ) -> Self {
        let owner = provider.owner().clone();
        Self::owned(provider.capture(), owner, family, bound, events)
    }

    /// Whose socket it is, as WSK is told; valid while this is there.
    pub(crate) fn owner(&self) -> OwnerPointers {
        self.owner.pointers()
    }

    /// With a handler's events. Where there was no room for them, [preparing](Self::prepare) fails.
    pub(crate) fn with_events(self, events: Result<Events<C::Callbacks>, Error>) -> Self {
        let mut this = self;
        // WSK has those of a socket that is there.
        if this.socket.is_none() {
            this.lacks_room = events.is_err();
            this.events = events.ok();
        }
        this
    }

    /// The family of the socket.
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    /// The capture that the socket is made through.
    pub(crate) const fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }

    /// Allocates all that the socket needs. IRQL: `<= DISPATCH_LEVEL`.
    #[inline(never)]
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if self.lacks_room {
            return Err(Error::NoMemory(Memory::Socket));
        }
        self.prepared = Some(Prepared {
            reserved: Reserved::new().ok_or(Error::NoMemory(Memory::Socket))?,
            closing: Idle::new()?,
            spares: [Idle::new()?, Idle::new()?],
        });
        Ok(())
    }

    /// What WSK gets as the socket's context and callbacks.
    pub(crate) fn callbacks(&self) -> (Option<NonNull<c_void>>, Option<NonNull<C::Callbacks>>) {
        match &self.events {
            Some(events) => (events.context(), events.table()),
            None => (None, None),
        }
    }

    /// WSK has made the socket.
    ///
    /// # Safety
    ///
    /// `socket` is null, or as the invariant asks; this was [prepared](Self::prepare).
    pub(crate) unsafe fn made(&mut self, socket: *mut WSK_SOCKET) {
        // INVARIANT: the caller says so.
        self.socket = NonNull::new(socket);
    }

    /// The first handle of the socket, if it was made.
    pub(crate) fn take(&mut self) -> Option<Handle<C>> {
        let socket = self.socket?;
        let ntddi = self.capture.ntddi();
        // SAFETY: by the invariant the socket is open, and of this category, whose table is as long as this Windows makes it, and stays
        // while the socket is open.
        let (dispatch, entries) = unsafe {
            let table = NonNull::new((*socket.as_ptr()).Dispatch.cast_mut())?.cast();
            (C::dispatch(table, ntddi), C::Entries::read(table, ntddi))
        };
        let prepared = self.prepared.take()?;
        self.socket = None;
        let bound = if self.bound { self.family.bit() } else { 0 };
        // INVARIANT: the socket is open and of this category, and this is its one handle.
        Some(Handle::first(
            prepared.reserved,
            Socket {
                socket,
                dispatch,
                entries,
                capture: ManuallyDrop::new(self.capture.clone()),
                family: self.family,
                ready: AtomicU8::new(bound),
                fixed: AtomicBool::new(false),
                indicates_control: AtomicBool::new(false),
                send_flags: AtomicU32::new(0),
                handles: AtomicUsize::new(1),
                spares: Spares::of(prepared.spares),
                closing: Spares::of([prepared.closing]),
                events: self.events.take(),
                before: None,
            },
        ))
    }
}

impl<C: Category> Drop for Making<C> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<C: Category> core::fmt::Debug for Making<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Making")
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// What a stream socket becomes: a socket of this category, with the functions of its table.
pub(super) fn become_of<C: OfStream>(
    socket: Handle<StreamCategory>,
    reserved: Reserved<Socket<C>>,
) -> Handle<C> {
    // It was the only handle, because there are no others of a category that is not committed: what is open from now on is the socket
    // that is made here.
    let before = socket.into_shared();
    before.handles.store(0, Ordering::Relaxed);
    // SAFETY: the table has entries of the socket's own, is as long as any, and stays with what has it.
    let dispatch = unsafe { C::dispatch(C::table(&before.entries), before.capture.ntddi()) };
    let (spares, closing) = (Spares::none(), Spares::none());
    spares.put_all(&before.spares);
    closing.put_all(&before.closing);
    let events = before.events.as_ref();
    // INVARIANT: the socket is open, and this is its one handle; it has the functions and the events of this category.
    Handle::first(
        reserved,
        Socket {
            socket: before.socket,
            dispatch,
            entries: (),
            capture: ManuallyDrop::new(before.capture().clone()),
            family: before.family,
            ready: AtomicU8::new(before.ready()),
            fixed: AtomicBool::new(false),
            indicates_control: AtomicBool::new(false),
            send_flags: AtomicU32::new(0),
            handles: AtomicUsize::new(1),
            spares,
            closing,
            events: events.map(Events::become_of),
            before: Some(before),
        },
    )
}

/// A connection that an accept event brings, with the places for what it is to have.
///
/// # Invariants
///
/// `socket` is an open connection socket that nobody else has, unless it is `taken`. WSK gives it the context and the callbacks that are
/// in their places when the event returns, if it is.
pub(crate) struct Arriving<'e> {
    socket: NonNull<WSK_SOCKET>,
    context: &'e Cell<*mut c_void>,
    callbacks: &'e Cell<*const WSK_CLIENT_CONNECTION_DISPATCH>,
    taken: Cell<bool>,
}

impl Arriving<'_> {
    /// What an accept event brings, without context and callbacks; `None` where something is missing.
    ///
    /// # Safety
    ///
    /// As the invariant asks: who makes it tells WSK that the socket was accepted exactly where it [was taken](Self::is_taken). The places
    /// are there during the event.
    pub(crate) unsafe fn new(
        socket: Option<NonNull<WSK_SOCKET>>,
        context: Option<NonNull<*mut c_void>>,
        callbacks: Option<NonNull<*const WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> Option<Self> {
        let (context, callbacks) = (context?, callbacks?);
        // SAFETY: the caller gives the places, which nobody else uses meanwhile, and in which there is something then.
        let (context, callbacks) = unsafe {
            context.write(core::ptr::null_mut());
            callbacks.write(core::ptr::null());
            (context.cast().as_ref(), callbacks.cast().as_ref())
        };
        // INVARIANT: the caller says so.
        Some(Self {
            socket: socket?,
            context,
            callbacks,
            taken: Cell::new(false),
        })
    }

    /// Whether the socket was taken.
    pub(crate) const fn is_taken(&self) -> bool {
        self.taken.get()
    }

    /// Takes the socket, once.
    pub(crate) fn take(
        &self,
        making: Making<ConnectionCategory>,
    ) -> Result<Handle<ConnectionCategory>, Error> {
        let mut making = making;
        making.prepare()?;
        if self.taken.get() {
            return Err(Error::Taken);
        }
        // SAFETY: by the invariant the socket is open, and nobody else's; it gets the callbacks of this.
        unsafe { making.made(self.socket.as_ptr()) };
        let callbacks = making.callbacks();
        // There is one, as it was prepared and made, but for a provider that gives no dispatch table: then nothing is accepted, and WSK
        // does not keep the context, which goes.
        let handle = making.take().ok_or(Error::Taken)?;
        if let (Some(context), Some(callbacks)) = callbacks {
            self.context.set(context.as_ptr());
            self.callbacks.set(callbacks.as_ptr());
        }
        // INVARIANT: it is somebody's from here on.
        self.taken.set(true);
        Ok(handle)
    }
}
