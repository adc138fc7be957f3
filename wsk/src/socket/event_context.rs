//! The events of a socket, whatever its category: the driver's handler, which WSK gets as the socket's context, and the static table of
//! callbacks for it.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::PFN_WSK_RECEIVE_EX_EVENT;

use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicPtr, Ordering};
use crate::memory::{Counted, Shared, Untyped};

/// The context of a socket with events, as WSK gets it.
///
/// # Invariants
///
/// `socket` is null until events are enabled. From then on it points to the socket, which stays until its close has completed.
pub(crate) struct Context<H> {
    socket: AtomicPtr<c_void>,
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
/// that context.
pub(crate) unsafe trait Callbacks {
    /// The handler.
    type Handler: Send + Sync + 'static;

    /// WSK's structure.
    type Table: 'static;

    /// The table of the callbacks.
    const TABLE: &'static Self::Table;

    /// The callback of a connection that gets control information. No table has it.
    const RECEIVE_EX: PFN_WSK_RECEIVE_EX_EVENT = None;
}

/// A static table of callbacks.
struct Table<T: 'static>(&'static T);

// SAFETY: it is static, and nobody writes it.
unsafe impl<T> Send for Table<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for Table<T> {}

/// The context of a handler, with the table `T` of callbacks for it. The socket owns it.
///
/// # Invariants
///
/// `context` is the only reference to the `Context` of the handler that the callbacks are for, until it is taken out. `attach` is for a
/// handler of the same type.
pub(crate) struct Events<T: 'static> {
    pub(super) context: Untyped,
    attach: fn(&Untyped, NonNull<c_void>),
    /// `None` for a socket that was a stream socket: WSK has had the table since then.
    table: Option<Table<T>>,
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

impl<T> Events<T> {
    /// Allocates the context of a handler for the callbacks `C`.
    pub(crate) fn new<C: Callbacks<Table = T>>(handler: C::Handler) -> Result<Self, Error> {
        let context = Context {
            socket: AtomicPtr::new(core::ptr::null_mut()),
            handler,
        };
        let context = Shared::new(context).map_err(|_| Error::NoMemory(Memory::Socket))?;
        // INVARIANT: all for the same type.
        Ok(Self {
            context: Untyped::new(context),
            attach: attach::<C::Handler>,
            table: Some(Table(C::TABLE)),
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
    pub(crate) fn table(&self) -> Option<NonNull<T>> {
        self.table.as_ref().map(|table| NonNull::from(table.0))
    }

    /// The events for what a stream socket has become, with the context that was taken out of these. WSK has the table.
    pub(super) const fn become_of<U>(&self, context: Untyped) -> Events<U> {
        Events {
            context,
            attach: self.attach,
            table: None,
            receive_ex: self.receive_ex,
        }
    }

    /// Puts the socket into the context, before events are enabled.
    ///
    /// # Safety
    ///
    /// `socket` is what [`Shared::as_raw`] gives for the socket that owns this, and stays valid until no event can come.
    pub(crate) unsafe fn attach(&self, socket: NonNull<c_void>) {
        // INVARIANT: the caller gives the socket.
        (self.attach)(&self.context, socket);
    }
}

/// Puts the socket into the context of a handler of this type.
fn attach<H: 'static>(context: &Untyped, socket: NonNull<c_void>) {
    if let Some(context) = context.get::<Context<H>>() {
        context.socket.store(socket.as_ptr(), Ordering::Release);
    }
}
