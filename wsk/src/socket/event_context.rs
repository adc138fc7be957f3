//! What WSK is given for a socket with events, whatever its category: the driver's handler as the socket's context, and the
//! static table of callbacks made for it.

use core::any::TypeId;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::PFN_WSK_RECEIVE_EX_EVENT;

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
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// The context that WSK gave a callback, and its socket once there is one: for the time of the callback.
    ///
    /// # Safety
    ///
    /// `context` is that of [`Events`] made for a handler of this type, of a socket of the type `S`; both are there until the result is gone.
    pub(crate) unsafe fn of_callback<S: Counted>(
        context: NonNull<c_void>,
    ) -> (ManuallyDrop<Shared<Self>>, Option<ManuallyDrop<Shared<S>>>) {
        // SAFETY: the caller gives the pointer of `Events`, which made it by `into_raw` for this type and have the reference. By the
        // invariant the other is null, or the socket, which the caller says is of this type and still there. What is made here is not
        // dropped, so both references stay their owners'.
        unsafe {
            let context = ManuallyDrop::new(Shared::<Self>::from_raw(context));
            let socket = NonNull::new(context.socket.load(Ordering::Acquire));
            let socket = socket.map(|socket| ManuallyDrop::new(Shared::from_raw(socket)));
            (context, socket)
        }
    }
}

// SAFETY: nothing goes last.
unsafe impl<H> Counted for Context<H> {
    type Last = ();
}

/// A context whose handler's type is forgotten.
///
/// # Invariants
///
/// `context`, unless it is null, is the one reference to the `Context` of a handler of the type that `kind` is of, which `release` is
/// for; the handler is `Send` and `Sync`. It is null once the events [have ended](Events::end).
struct Erased {
    context: AtomicPtr<c_void>,
    /// The handler's.
    kind: TypeId,
    attach: fn(&Self, NonNull<c_void>),
    release: unsafe fn(NonNull<c_void>),
}

impl Erased {
    fn new<H: Send + Sync + 'static>(context: Shared<Context<H>>) -> Self {
        // INVARIANT: all for the same type.
        Self {
            context: AtomicPtr::new(Shared::into_raw(context).as_ptr()),
            kind: TypeId::of::<H>(),
            attach: attach::<H>,
            release: release::<H>,
        }
    }

    /// The context, if it is for a handler of this type.
    fn of<H: 'static>(&self) -> Option<&Context<H>> {
        if self.kind != TypeId::of::<H>() {
            return None;
        }
        let context = NonNull::new(self.context.load(Ordering::Acquire))?;
        // SAFETY: by the invariant the context is of a handler of this type, and stays until the events have ended, when nobody has the
        // result any more.
        Some(unsafe { Shared::borrow_raw(context) })
    }
}

/// The context of a handler with the callbacks `T` for it: owned by the socket it is for.
pub(crate) struct Events<T: 'static> {
    context: Erased,
    /// None once WSK has it, for a socket that has become something else.
    table: Option<&'static T>,
    /// The callback of a connection that is told control information, which no table has.
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

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
            context: Erased::new(context),
            table: Some(table),
            receive_ex: None,
        })
    }

    /// The events with a callback that is told control information, for the handler that they are told to.
    pub(crate) fn with_receive_ex(mut self, callback: PFN_WSK_RECEIVE_EX_EVENT) -> Self {
        self.receive_ex = callback;
        self
    }

    /// The callback that is told control information, for the context.
    pub(crate) const fn receive_ex(&self) -> PFN_WSK_RECEIVE_EX_EVENT {
        self.receive_ex
    }

    /// The handler, if it is of this type.
    pub(crate) fn handler<H: 'static>(&self) -> Option<&H> {
        self.context.of().map(Context::handler)
    }

    /// What WSK gets as the socket's context, unless they have ended.
    pub(crate) fn context(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.context.context.load(Ordering::Acquire))
    }

    /// What WSK gets as the socket's table of events.
    pub(crate) fn table(&self) -> Option<NonNull<T>> {
        self.table.map(NonNull::from)
    }

    /// The same events, of a socket that has become something else, with callbacks that WSK was given; these have ended.
    pub(crate) fn become_of<U>(&self) -> Events<U> {
        let Erased {
            ref context,
            kind,
            attach,
            release,
        } = self.context;
        let context = AtomicPtr::new(context.swap(core::ptr::null_mut(), Ordering::AcqRel));
        // INVARIANT: the reference is no longer here.
        Events {
            context: Erased {
                context,
                kind,
                attach,
                release,
            },
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
        (self.context.attach)(&self.context, socket);
    }

    /// Drops the handler, which may keep what refers to the socket.
    ///
    /// # Safety
    ///
    /// No callback runs or will come, and nobody has the [handler](Self::handler) or will ask for it.
    pub(crate) unsafe fn end(&self) {
        let context = &self.context.context;
        let context = context.swap(core::ptr::null_mut(), Ordering::AcqRel);
        if let Some(context) = NonNull::new(context) {
            // SAFETY: the context is of the type that `release` was made for, and is released this once; as the caller says nobody uses it.
            unsafe { (self.context.release)(context) };
        }
    }
}

impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        // SAFETY: the owner is the socket, whose memory goes when its close has completed, after which WSK calls no event; or WSK has
        // never made it.
        unsafe { self.end() };
    }
}

/// Tells the context of a handler of this type its socket.
fn attach<H: 'static>(context: &Erased, socket: NonNull<c_void>) {
    if let Some(context) = context.of::<H>() {
        context.socket.store(socket.as_ptr(), Ordering::Release);
    }
}

/// # Safety
///
/// `context` is that of a handler of this type, whose one reference is given away.
unsafe fn release<H>(context: NonNull<c_void>) {
    // SAFETY: the caller gives the one reference away, which `into_raw` made the pointer of.
    drop(unsafe { Shared::<Context<H>>::from_raw(context) });
}
