//! [`Making`]: a socket that is being made, by `WskSocket`, `WskSocketConnect`, `WskAccept` or an accept event.

#![forbid(unsafe_code)]

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::WSK_CLIENT_CONNECTION_DISPATCH;

use crate::address::Family;
use crate::error::{Error, Memory};
use crate::memory::{Rare, Reserved, Shared};
use crate::registration::{Capture, Owner, OwnerPointers, Provider};
use crate::socket::event_context::Events;
use crate::socket::open::{Fresh, Parts, SpareOperations};
use crate::socket::{
    Category, ConnectionCategory, Handle, ListenCategory, OwnParameters as _, Socket,
};

/// A socket that is being made. Dropping this closes a socket that nobody has taken.
///
/// # Invariants
///
/// `socket`, if there is one, was made through the capture with the callbacks of `events`. Its memory and its operations are allocated.
pub struct Making<C: Category> {
    capture: Shared<Capture>,
    /// The owner of the socket, kept until WSK has made it.
    owner: Owner,
    family: Family,
    /// Whether there was no memory for the events of a handler.
    lacks_room: bool,
    /// The memory for the socket. With it and the operations nothing can fail once WSK has made the socket.
    reserved: Option<Reserved<Socket<C>>>,
    /// The operations, and the handler's events.
    parts: Parts<C>,
    socket: Option<Fresh<C>>,
    bound: bool,
    /// The parameters that only this category has.
    pub(crate) own: C::OwnParameters,
}

impl<C: Category> Making<C> {
    /// A socket to be made. `bound` says whether WSK binds it. Allocates nothing.
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
            lacks_room: false,
            reserved: None,
            parts: Parts {
                operations: SpareOperations::none(),
                events,
            },
            socket: None,
            bound,
            own: C::OwnParameters::default(),
        }
    }

    /// A socket to be made through a provider, with the provider's owner.
    pub(crate) fn of(
        provider: &Provider,
        family: Family,
        bound: bool,
        events: Option<Events<C::Callbacks>>,
    ) -> Self {
        let owner = provider.owner().clone();
        Self::owned(provider.capture(), owner, family, bound, events)
    }

    /// The pointers to the owner for WSK, valid as long as this.
    pub(crate) fn owner(&self) -> OwnerPointers {
        self.owner.pointers()
    }

    /// The type of the socket (`SOCK_…`) and its protocol, for WSK.
    pub(crate) fn transport(&self) -> (u16, u32) {
        let (kind, protocol) = if self.own.over_streams() {
            (ConnectionCategory::KIND, ConnectionCategory::PROTOCOL)
        } else {
            (C::KIND, C::PROTOCOL)
        };
        match self.family {
            Family::Other(other) => (kind, other.protocol().into()),
            _ => (kind, protocol),
        }
    }

    /// Adds a handler's events. If there was no memory for them, [`prepare`](Self::prepare) fails.
    pub(crate) fn with_events(self, events: Result<Events<C::Callbacks>, Error>) -> Self {
        let mut this = self;
        // WSK has the events of a socket that exists already.
        if this.socket.is_none() {
            this.lacks_room = events.is_err();
            this.parts.events = events.ok();
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

    /// Allocates everything that the socket needs. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if self.reserved.is_none() {
            self.reserved = Reserved::new();
        }
        if self.lacks_room || self.reserved.is_none() {
            return Err(Error::NoMemory(Memory::Socket));
        }
        self.parts.operations.allocate()
    }

    /// The socket's context and callbacks, for WSK.
    pub(crate) fn callbacks(&self) -> (Option<NonNull<c_void>>, Option<NonNull<C::Callbacks>>) {
        match &self.parts.events {
            Some(events) => (events.context(), events.table()),
            None => (None, None),
        }
    }

    /// Notes that WSK has made the socket, after [`prepare`](Self::prepare).
    pub(crate) fn made(&mut self, socket: Fresh<C>) {
        // INVARIANT: that of what is fresh.
        self.socket = Some(socket);
    }

    /// The first handle of the socket, if WSK has made it.
    pub(crate) fn take(&mut self) -> Option<Handle<C>> {
        let socket = self.socket.take()?.open(&self.capture)?;
        let bound = if self.bound { self.family.bit() } else { 0 };
        Some(Handle::first(
            self.reserved.take()?,
            socket,
            core::mem::replace(
                &mut self.parts,
                Parts {
                    operations: SpareOperations::none(),
                    events: None,
                },
            ),
            self.capture.clone(),
            (self.family, bound),
            Rare::NONE,
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

/// A connection that an accept event brings, with the places for its context and its callbacks.
///
/// # Invariants
///
/// If the socket was `taken`, WSK gives it the context and the callbacks that are in the places when the event returns.
pub(crate) struct Arriving<'e> {
    listener: &'e Shared<Socket<ListenCategory>>,
    socket: Cell<Option<Fresh<ConnectionCategory>>>,
    context: &'e Cell<*mut c_void>,
    callbacks: &'e Cell<*const WSK_CLIENT_CONNECTION_DISPATCH>,
    taken: Cell<bool>,
}

impl<'e> Arriving<'e> {
    /// The connection of an event of this listener. The callback tells WSK that the socket was accepted exactly if it
    /// [was taken](Self::is_taken).
    pub(crate) const fn new(
        listener: &'e Shared<Socket<ListenCategory>>,
        socket: Fresh<ConnectionCategory>,
        context: &'e Cell<*mut c_void>,
        callbacks: &'e Cell<*const WSK_CLIENT_CONNECTION_DISPATCH>,
    ) -> Self {
        Self {
            listener,
            socket: Cell::new(Some(socket)),
            context,
            callbacks,
            taken: Cell::new(false),
        }
    }

    /// The socket that the connection comes to.
    pub(crate) const fn listener(&self) -> &'e Shared<Socket<ListenCategory>> {
        self.listener
    }

    /// Whether the socket was taken.
    pub(crate) const fn is_taken(&self) -> bool {
        self.taken.get()
    }

    /// Takes the socket, once, with events if there are any.
    pub(crate) fn take(
        &self,
        events: Option<Events<WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> Result<Handle<ConnectionCategory>, Error> {
        let (capture, family) = (self.listener.capture(), self.listener.family());
        let mut making = Making::new(capture, family, true, events);
        making.prepare()?;
        making.made(self.socket.take().ok_or(Error::Taken)?);
        let callbacks = making.callbacks();
        // This fails only if the provider gives no dispatch table. Then nothing is accepted, and WSK does not keep the context, which is
        // freed.
        let handle = making.take().ok_or(Error::Taken)?;
        if let (Some(context), Some(callbacks)) = callbacks {
            self.context.set(context.as_ptr());
            self.callbacks.set(callbacks.as_ptr());
        }
        // INVARIANT: it has its context and callbacks.
        self.taken.set(true);
        Ok(handle)
    }
}
