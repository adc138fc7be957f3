//! The events of a socket, whatever its category: the driver's handler, which WSK gets as the socket's context, and beside it the table of
//! callbacks.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH,
    WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
};

use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicPtr, Ordering};
use crate::memory::{Counted, Shared, Untyped};

/// The context of a socket with events, and its table of callbacks. WSK gets the addresses of both, and uses them until the socket's close
/// has completed.
///
/// # Invariants
///
/// `socket` is null until events are enabled. From then on it points to the socket, which stays until its close has completed. Nobody
/// writes to `table`.
pub(crate) struct Context<H> {
    socket: AtomicPtr<c_void>,
    table: Table,
    handler: H,
}

impl<H> Context<H> {
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// The pointer that [`Shared::into_raw`] would give for the socket, once there is one.
    pub(crate) fn socket(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.socket.load(Ordering::Acquire))
    }
}

// SAFETY: nothing goes last.
unsafe impl<H> Counted for Context<H> {
    type Last = ();
}

/// The callbacks of sockets for a handler.
///
/// # Safety
///
/// The callbacks expect the `Context` of such a `Handler`, and in it a socket of the category that has the `Table`. [`Events::new`] makes
/// that context. `table` gives a `Table`.
pub(crate) unsafe trait Callbacks {
    /// The handler.
    type Handler: Send + Sync + 'static;

    /// WSK's structure.
    type Table: 'static;

    /// The callback of a connection that gets control information. No table has it.
    const RECEIVE_EX: PFN_WSK_RECEIVE_EX_EVENT = None;

    /// The table of the callbacks. Its members are copied one by one: so the addresses are part of the code, which has them relative to
    /// itself. Windows would have to relocate the addresses in a constant.
    fn table() -> Table;
}

/// The table of a socket's callbacks, of its category. It leads to functions and static tables.
#[repr(C)]
pub(crate) union Table {
    pub(super) datagrams: WSK_CLIENT_DATAGRAM_DISPATCH,
    pub(super) connection: WSK_CLIENT_CONNECTION_DISPATCH,
    pub(super) listener: WSK_CLIENT_LISTEN_DISPATCH,
    pub(super) stream: WSK_CLIENT_STREAM_DISPATCH,
}

// SAFETY: what it leads to is static, and nobody writes to that.
unsafe impl Send for Table {}
// SAFETY: as for `Send`.
unsafe impl Sync for Table {}

/// Places in a [`Context`].
struct ContextLayout<T> {
    socket: NonNull<AtomicPtr<c_void>>,
    /// `None` for a socket that was a stream socket: WSK has had the table since then.
    table: Option<NonNull<T>>,
}

// SAFETY: the pointer to the socket is atomic, and nobody writes to the table.
unsafe impl<T> Send for ContextLayout<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for ContextLayout<T> {}

/// The context of a handler, with the table `T` of callbacks for it. The socket owns it.
///
/// # Invariants
///
/// `context` is the only reference to the `Context` of the handler that the callbacks are for, until it is taken out. Until then the
/// `places` in it are valid.
pub(crate) struct Events<T: 'static> {
    pub(super) context: Untyped,
    places: ContextLayout<T>,
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

impl<T> Events<T> {
    /// Allocates the context of a handler for the callbacks `C`.
    pub(crate) fn new<C: Callbacks<Table = T>>(handler: C::Handler) -> Result<Self, Error> {
        let context = Context {
            socket: AtomicPtr::new(core::ptr::null_mut()),
            table: C::table(),
            handler,
        };
        let context = Shared::new(context).map_err(|_| Error::NoMemory(Memory::Socket))?;
        // INVARIANT: the table is for the same type as the context, in which both places are.
        Ok(Self {
            places: ContextLayout {
                socket: NonNull::from(&context.socket),
                table: Some(NonNull::from(&context.table).cast()),
            },
            context: Untyped::new(context),
            receive_ex: C::RECEIVE_EX,
        })
    }

    /// The callback that gets control information.
    pub(crate) const fn receive_ex(&self) -> PFN_WSK_RECEIVE_EX_EVENT {
        self.receive_ex
    }

    /// The handler; `None` if it is of another type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        self.context.get().map(Context::handler)
    }

    /// The socket's context, for WSK.
    pub(crate) fn context(&self) -> Option<NonNull<c_void>> {
        self.context.as_raw()
    }

    /// The socket's table of callbacks, for WSK.
    pub(crate) const fn table(&self) -> Option<NonNull<T>> {
        self.places.table
    }

    /// The events for what a stream socket has become, with the context that was taken out of these. WSK has the table.
    pub(super) const fn become_of<U>(&self, context: Untyped) -> Events<U> {
        Events {
            context,
            places: ContextLayout {
                socket: self.places.socket,
                table: None,
            },
            receive_ex: self.receive_ex,
        }
    }

    /// The place in the context for the pointer that [`Shared::as_raw`] gives for the socket that owns this: valid while the context is
    /// there. Whoever puts the pointer there does so before events are enabled, for a socket that stays valid until no event can come.
    pub(super) const fn socket(&self) -> NonNull<AtomicPtr<c_void>> {
        self.places.socket
    }
}
