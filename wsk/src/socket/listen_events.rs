//! `WSK_CLIENT_LISTEN_DISPATCH`, for whoever is to be told of it: `WskAcceptEvent`, `WskInspectEvent` and `WskAbortEvent`; and how what
//! was put off in one is rejected.

use core::cell::Cell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_macros::dispatch_events;
use wsk_sys::{
    NTSTATUS, SOCKADDR, STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_INSPECT_ACTION, WSK_INSPECT_ID,
    WSK_SOCKET, WskClientListenDispatchEvents, wsk_client_listen_dispatch_table,
};

use crate::address;
use crate::error::Error;
use crate::irp::Idle;
use crate::memory::shared::Shared;
use crate::socket::calls::{InspectCall, launch};
use crate::socket::event_context::{Context, Events};
use crate::socket::inspection::{InspectId, Pended};
use crate::socket::{ConnectedSocket, Handle, ListenCategory, ListenSocket, Making, Socket};

/// Who is told of the connections that come to a socket.
pub(crate) trait Told: Send + Sync + 'static {
    /// A connection has come.
    fn came(&self, offer: Offer<'_>);

    /// A connection is asked for.
    fn asked(&self, question: Question<'_>);

    /// One that was accepted or put off when it was asked for has been given up.
    fn aborted(&self, id: InspectId);

    /// The socket is dead.
    fn died(&self);
}

/// The events of a listening socket that are told to `told`.
pub(crate) fn of_listener<T: Told>(told: T) -> Result<Events<WSK_CLIENT_LISTEN_DISPATCH>, Error> {
    Events::new(told, callbacks::<T>())
}

/// The callbacks of sockets whose context is that of events for a `T`.
pub(crate) const fn callbacks<T: Told>() -> &'static WSK_CLIENT_LISTEN_DISPATCH {
    wsk_client_listen_dispatch_table::<Thunks<T>>()
}

/// An address that an event brings, or none.
///
/// # Invariants
///
/// `place` is null, or a socket address that is valid for `'i`.
struct Brought<'i> {
    place: Option<NonNull<SOCKADDR>>,
    event: PhantomData<&'i SOCKADDR>,
}

impl Brought<'_> {
    /// # Safety
    ///
    /// As the invariant asks.
    const unsafe fn new(place: Option<NonNull<SOCKADDR>>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            place,
            event: PhantomData,
        }
    }

    fn read(&self) -> Result<SocketAddr, Error> {
        let place = self.place.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: by the invariant it is a socket address, or null.
        unsafe { address::read_raw(place) }
    }
}

/// Where a connection comes from and goes to, and the socket that it comes to.
struct Ends<'i> {
    listener: &'i Shared<Socket<ListenCategory>>,
    local: Brought<'i>,
    remote: Brought<'i>,
}

/// Writes the methods of what has two ends.
macro_rules! has_ends {
    ($of:ident) => {
        impl $of<'_> {
            /// The local address that it came to.
            pub(crate) fn local(&self) -> Result<SocketAddr, Error> {
                self.ends.local.read()
            }

            /// The address of the peer.
            pub(crate) fn remote(&self) -> Result<SocketAddr, Error> {
                self.ends.remote.read()
            }

            /// A handle of the socket that it came to; `None` when that is being closed.
            pub(crate) fn listener(&self) -> Option<ListenSocket> {
                let handle = Handle::from_open(self.ends.listener)?;
                Some(ListenSocket { handle })
            }
        }
    };
}

has_ends!(Offer);
has_ends!(Question);

/// A connection that has come. Dropping it turns it down.
///
/// # Invariants
///
/// `socket` is an open connection socket that nobody else has. `context` and `callbacks` are valid for writes during the
/// callback, which `'i` does not outlive; `taken` says afterwards whether the socket was.
pub(crate) struct Offer<'i> {
    socket: NonNull<WSK_SOCKET>,
    ends: Ends<'i>,
    flags: u32,
    context: NonNull<*mut c_void>,
    callbacks: NonNull<*const WSK_CLIENT_CONNECTION_DISPATCH>,
    taken: &'i Cell<bool>,
}

impl Offer<'_> {
    /// The flags of the event.
    pub(crate) const fn flags(&self) -> u32 {
        self.flags
    }

    /// Takes the connection, with these events if there are some. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn accept(
        self,
        events: Option<Events<WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> Result<ConnectedSocket, Error> {
        let listener = self.ends.listener;
        let mut making = Making::new(listener.capture(), listener.family(), true);
        if let Some(events) = events {
            making = making.with_events(Ok(events));
        }
        making.prepare()?;
        let (context, callbacks) = making.callbacks();
        // SAFETY: by the invariant the places are valid, and the socket is nobody else's.
        let handle = unsafe {
            if let (Some(context), Some(callbacks)) = (context, callbacks) {
                self.context.write(context.as_ptr());
                self.callbacks.write(callbacks.as_ptr());
            }
            making.made(self.socket.as_ptr());
            making.take()
        };
        // There is one, as it was prepared and made, but for a provider that gives no dispatch table: then nothing is accepted, and WSK
        // does not keep the context, which goes.
        let handle = handle.ok_or(Error::Taken)?;
        self.taken.set(true);
        Ok(ConnectedSocket { handle })
    }
}

/// A connection that is asked for, before it is made.
pub(crate) struct Question<'i> {
    ends: Ends<'i>,
    id: InspectId,
    answer: &'i Cell<WSK_INSPECT_ACTION>,
}

impl Question<'_> {
    /// What WSK knows it by.
    pub(crate) const fn id(&self) -> InspectId {
        self.id
    }

    /// It may be made.
    pub(crate) fn accept(self) {
        self.answer.set(WSK_INSPECT_ACTION::WskInspectAccept);
    }

    /// It may not.
    pub(crate) fn reject(self) {
        self.answer.set(WSK_INSPECT_ACTION::WskInspectReject);
    }

    /// It is answered later.
    pub(crate) fn pend(self) -> Result<Pended, Error> {
        let pended = Pended::new(self.ends.listener, self.id)?;
        self.answer.set(WSK_INSPECT_ACTION::WskInspectPend);
        Ok(pended)
    }
}

impl Handle<ListenCategory> {
    /// Rejects a connection whose inspection was put off, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reject(&self, operation: Idle<()>, id: InspectId) {
        let launched = launch(operation, self, |listener, arguments, places| {
            InspectCall::reject(listener, id, arguments, places)
        });
        // A provider without the entry has put nothing off.
        if let Ok(flight) = launched {
            flight.leave();
        }
    }
}

/// The callbacks for those of type `T`.
struct Thunks<T>(PhantomData<T>);

// SAFETY: the callbacks do what WSK documents: an accept event returns `STATUS_SUCCESS` exactly where the socket was taken, whose
// context and callbacks it has written then, an inspect event returns `WskInspectPend` exactly where it is answered later, and none
// blocks.
#[dispatch_events]
unsafe impl<T: Told> WskClientListenDispatchEvents for Thunks<T> {
    unsafe fn wsk_accept_event(
        socket_context: Option<NonNull<c_void>>,
        flags: u32,
        local_address: Option<NonNull<SOCKADDR>>,
        remote_address: Option<NonNull<SOCKADDR>>,
        accept_socket: Option<NonNull<WSK_SOCKET>>,
        accept_socket_context: Option<NonNull<*mut c_void>>,
        accept_socket_dispatch: Option<NonNull<*const WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> NTSTATUS {
        let Some(context) = socket_context else {
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        // SAFETY: the context is the one that the socket was made with; both live until its close has completed, which waits for
        // this callback. WSK gives places for what the accepted socket is to have, and socket addresses, for the time of that.
        let ((context, listener), local, remote) = unsafe {
            if let (Some(context), Some(dispatch)) = (accept_socket_context, accept_socket_dispatch)
            {
                context.write(core::ptr::null_mut());
                dispatch.write(core::ptr::null());
            }
            (
                Context::<T>::of_callback::<Socket<ListenCategory>>(context),
                Brought::new(local_address),
                Brought::new(remote_address),
            )
        };
        let Some(socket) = accept_socket else {
            context.handler().died();
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        let (Some(accept_socket_context), Some(accept_socket_dispatch), Some(listener)) =
            (accept_socket_context, accept_socket_dispatch, listener)
        else {
            return STATUS_REQUEST_NOT_ACCEPTED;
        };
        let taken = Cell::new(false);
        context.handler().came(Offer {
            socket,
            ends: Ends {
                listener: &listener,
                local,
                remote,
            },
            flags,
            context: accept_socket_context,
            callbacks: accept_socket_dispatch,
            taken: &taken,
        });
        if taken.get() {
            STATUS_SUCCESS
        } else {
            STATUS_REQUEST_NOT_ACCEPTED
        }
    }

    unsafe fn wsk_inspect_event(
        socket_context: Option<NonNull<c_void>>,
        local_address: Option<NonNull<SOCKADDR>>,
        remote_address: Option<NonNull<SOCKADDR>>,
        inspect_id: Option<NonNull<WSK_INSPECT_ID>>,
    ) -> WSK_INSPECT_ACTION {
        let answer = Cell::new(WSK_INSPECT_ACTION::WskInspectReject);
        let Some(context) = socket_context else {
            return answer.get();
        };
        // SAFETY: as for the accept event; WSK gives an identifier for the time of the callback.
        let ((context, listener), local, remote, id) = unsafe {
            (
                Context::<T>::of_callback::<Socket<ListenCategory>>(context),
                Brought::new(local_address),
                Brought::new(remote_address),
                inspect_id.map(|id| id.read()),
            )
        };
        match (id, listener) {
            (None, _) => context.handler().died(),
            (Some(id), Some(listener)) => context.handler().asked(Question {
                ends: Ends {
                    listener: &listener,
                    local,
                    remote,
                },
                id: InspectId::new(&id),
                answer: &answer,
            }),
            _ => {}
        }
        answer.get()
    }

    unsafe fn wsk_abort_event(
        socket_context: Option<NonNull<c_void>>,
        inspect_id: NonNull<WSK_INSPECT_ID>,
    ) -> NTSTATUS {
        if let Some(context) = socket_context {
            // SAFETY: as for the inspect event.
            let ((context, _), id) = unsafe {
                (
                    Context::<T>::of_callback::<Socket<ListenCategory>>(context),
                    inspect_id.read(),
                )
            };
            context.handler().aborted(InspectId::new(&id));
        }
        STATUS_SUCCESS
    }
}
