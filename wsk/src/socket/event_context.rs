//! What WSK is given for a socket with events, whatever its category: the driver's handler as the socket's context, and the
//! static table of callbacks made for it.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::PFN_WSK_RECEIVE_EX_EVENT;

use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicPtr, Ordering};
use crate::memory::shared::{Counted, Shared, Untyped};

/// What WSK is given as the context of a socket with events.
///
/// # Invariants
///
/// `socket` is null until events may come, and then a socket that lives until the close has completed.
pub(crate) struct Context<H> {
    socket: AtomicPtr<c_void>,
    handler: H,
}

impl<H> Context<H> {
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// What [`Shared::into_raw`] would give for the socket, once there is one.
    pub(crate) fn socket(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.socket.load(Ordering::Acquire))
    }
}

// SAFETY: nothing goes last.
unsafe impl<H> Counted for Context<H> {
    type Last = ();
}

/// Callbacks for the events of sockets, which tell a `Handler`.
///
/// # Safety
///
/// They take their context for the `Context` of such a handler, that they were [made](Events::new) with, and the socket in it for one of
/// the category that has the table.
pub(crate) unsafe trait Callbacks {
    /// Who is told.
    type Handler: Send + Sync + 'static;

    /// WSK's structure.
    type Table: 'static;

    /// The table of the callbacks.
    const TABLE: &'static Self::Table;

    /// The callback of a connection that is told control information, which no table has.
    const RECEIVE_EX: PFN_WSK_RECEIVE_EX_EVENT = None;
}

/// A static table of callbacks.
struct Table<T: 'static>(&'static T);

// SAFETY: it is static, and nobody writes it.
unsafe impl<T> Send for Table<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for Table<T> {}

/// The context of a handler with the callbacks `T` for it: owned by the socket it is for.
///
/// # Invariants
///
/// `context` is the one reference to the `Context` of the handler that the callbacks are for, until it is taken out; `attach` is for that
/// type.
pub(crate) struct Events<T: 'static> {
    pub(super) context: Untyped,
    attach: fn(&Untyped, NonNull<c_void>),
    /// None once WSK has it, for a socket that has become something else.
    table: Option<Table<T>>,
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

impl<T> Events<T> {
    /// Allocates the context of a handler, which the callbacks `C` are for.
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

    /// The callback that is told control information, for the context.
    pub(crate) const fn receive_ex(&self) -> PFN_WSK_RECEIVE_EX_EVENT {
        self.receive_ex
    }

    /// The handler, if it is of this type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        self.context.get().map(Context::handler)
    }

    /// What WSK gets as the socket's context.
    pub(crate) fn context(&self) -> Option<NonNull<c_void>> {
        self.context.as_raw()
    }

    /// What WSK gets as the socket's table of events.
    pub(crate) fn table(&self) -> Option<NonNull<T>> {
        self.table.as_ref().map(|table| NonNull::from(table.0))
    }

    /// The events with this context, which was taken out of them, for a socket that has become something else: WSK was given the callbacks.
    pub(super) const fn become_of<U>(&self, context: Untyped) -> Events<U> {
        Events {
            context,
            attach: self.attach,
            table: None,
            receive_ex: self.receive_ex,
        }
    }

    /// Tells the context its socket, before events are enabled.
    ///
    /// # Safety
    ///
    /// `socket` is what [`Shared::as_raw`] gives for the socket that owns this, and stays valid until no event can come.
    pub(crate) unsafe fn attach(&self, socket: NonNull<c_void>) {
        // INVARIANT: the caller gives the socket.
        (self.attach)(&self.context, socket);
    }
}

/// Tells the context of a handler of this type its socket.
fn attach<H: 'static>(context: &Untyped, socket: NonNull<c_void>) {
    if let Some(context) = context.get::<Context<H>>() {
        context.socket.store(socket.as_ptr(), Ordering::Release);
    }
}
