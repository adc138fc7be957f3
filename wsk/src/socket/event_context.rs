//! What WSK is given for a socket with events, whatever its category: the driver's handler as the socket's context, and the
//! static table of callbacks made for it.

use core::any::TypeId;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::error::{Error, Memory};
use crate::memory::atomic::{AtomicPtr, Ordering};
use crate::memory::shared::{Counted, Shared};

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
    /// The context that WSK gave a callback, for the time of that.
    ///
    /// # Safety
    ///
    /// `context` is that of [`Events`] made for a handler of this type, which are still there.
    pub(crate) unsafe fn from_raw(context: NonNull<c_void>) -> ManuallyDrop<Shared<Self>> {
        // SAFETY: the caller gives the pointer of `Events`, which made it by `into_raw` for this type and have the reference; what is
        // made here is not dropped, so it stays theirs.
        ManuallyDrop::new(unsafe { Shared::from_raw(context) })
    }

    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// The socket, for the time of a callback.
    ///
    /// # Safety
    ///
    /// The events are those of a socket of this type, which is not closed before the result is gone.
    pub(crate) unsafe fn socket<S: Counted>(&self) -> Option<ManuallyDrop<Shared<S>>> {
        let socket = NonNull::new(self.socket.load(Ordering::Acquire))?;
        // SAFETY: by the invariant it is the socket, which the caller says is of this type and still there; what is made here is
        // not dropped, so the reference stays its owner's.
        Some(ManuallyDrop::new(unsafe { Shared::from_raw(socket) }))
    }
}

impl<H> Counted for Context<H> {
    type Last = ();
    unsafe fn last(&mut self) {}
}

/// A context whose handler's type is forgotten, with the callbacks `T` for it: owned by the socket it is for.
///
/// # Invariants
///
/// `context` is the one reference to the `Context` of a handler of the type that `kind` is of, which `attach` and `release` are for.
pub(crate) struct Events<T: 'static> {
    context: NonNull<c_void>,
    attach: unsafe fn(NonNull<c_void>, NonNull<c_void>),
    release: unsafe fn(NonNull<c_void>),
    table: &'static T,
    /// The handler's.
    kind: TypeId,
}

// SAFETY: the context is of a handler that is `Send` and `Sync`, as `new` asks, and an atomic pointer; the table is shared.
unsafe impl<T: Sync> Send for Events<T> {}
// SAFETY: as for `Send`: through `&Events` the context is only shared.
unsafe impl<T: Sync> Sync for Events<T> {}

impl<T> Events<T> {
    /// Allocates the context of `handler`, which the callbacks in `table` are for.
    pub(crate) fn new<H: Send + Sync + 'static>(
        handler: H,
        table: &'static T,
    ) -> Result<Self, Error> {
        let context = Context {
            socket: AtomicPtr::new(core::ptr::null_mut()),
            handler,
        };
        let context = Shared::new(context).map_err(|_| Error::NoMemory(Memory::Socket))?;
        Ok(Self {
            context: Shared::into_raw(context),
            attach: attach::<H>,
            release: release::<H>,
            table,
            kind: TypeId::of::<H>(),
        })
    }

    /// The handler, if it is of this type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        if self.kind != TypeId::of::<H>() {
            return None;
        }
        // SAFETY: the context is of a handler of this type, and stays as long as this.
        let context: &Context<H> = unsafe { Shared::borrow_raw(self.context) };
        Some(context.handler())
    }

    /// What WSK gets as the socket's context.
    pub(crate) fn context(&self) -> NonNull<c_void> {
        self.context
    }

    /// What WSK gets as the socket's table of events.
    pub(crate) fn table(&self) -> NonNull<T> {
        NonNull::from(self.table)
    }

    /// Tells the context its socket, before events are enabled.
    ///
    /// # Safety
    ///
    /// `socket` is what [`Shared::as_raw`] gives for the socket that owns this, and stays valid until no event can come.
    pub(crate) unsafe fn attach(&self, socket: NonNull<c_void>) {
        // SAFETY: the context is of the type that `attach` was made for, and this keeps it. The caller gives the socket.
        unsafe { (self.attach)(self.context, socket) };
    }
}

impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        // SAFETY: the context is of the type that `release` was made for, and is released this once. Its owner is the socket, whose
        // memory goes when its close has completed, after which WSK calls no event.
        unsafe { (self.release)(self.context) };
    }
}

/// # Safety
///
/// `context` is that of a handler of this type, which its owner keeps meanwhile; `socket` is as [`Events::attach`] asks.
unsafe fn attach<H>(context: NonNull<c_void>, socket: NonNull<c_void>) {
    // SAFETY: the caller gives a context of this type, which its owner keeps meanwhile.
    let context = unsafe { Context::<H>::from_raw(context) };
    context.socket.store(socket.as_ptr(), Ordering::Release);
}

/// # Safety
///
/// `context` is that of a handler of this type, whose one reference is given away.
unsafe fn release<H>(context: NonNull<c_void>) {
    // SAFETY: the caller gives the one reference away, which `into_raw` made the pointer of.
    drop(unsafe { Shared::<Context<H>>::from_raw(context) });
}
