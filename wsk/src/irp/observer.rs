//! [`Observer`]: who is told of a completion.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::NTSTATUS;

use crate::memory::shared::{Counted, Shared};

/// Somebody who is told of a completion without holding the operation, once.
///
/// # Invariants
///
/// `completed` may be called with `context`, once, on any thread at up to `DISPATCH_LEVEL`: what that needs is there until then.
#[must_use = "an observer that is not told keeps what it has for ever"]
pub(crate) struct Observer {
    completed: unsafe fn(NonNull<c_void>, NTSTATUS),
    context: NonNull<c_void>,
}

impl Observer {
    /// Calls `completed` with `context`.
    ///
    /// # Safety
    ///
    /// That may be done once, on any thread at up to `DISPATCH_LEVEL`.
    #[inline]
    pub(crate) const unsafe fn new(
        completed: unsafe fn(NonNull<c_void>, NTSTATUS),
        context: NonNull<c_void>,
    ) -> Self {
        // INVARIANT: the caller says so.
        Self { completed, context }
    }

    /// Keeps a reference until the completion, and then tells `W` of it.
    #[inline]
    pub(crate) fn of<W: Tells<T>, T: Counted + Send + Sync>(shared: Shared<T>) -> Self {
        /// # Safety
        ///
        /// `context` came from `Shared::<T>::into_raw` and is used this once, when the request has completed with this status.
        unsafe fn completed<W: Tells<T>, T: Counted>(context: NonNull<c_void>, status: NTSTATUS) {
            // SAFETY: the caller gives the reference that `into_raw` made the context of, this once, and tells of the completion.
            unsafe { W::tell(Shared::from_raw(context), status) };
        }
        // INVARIANT: the reference is the observer's until it is told. It may be sent, and `W` takes it at any IRQL up to DISPATCH_LEVEL.
        Self {
            completed: completed::<W, T>,
            context: Shared::into_raw(shared),
        }
    }

    /// Tells of the completion, with the IRP's status, or another error when the request could not be made.
    #[inline]
    pub(crate) fn tell(self, status: NTSTATUS) {
        // SAFETY: by the invariant; this is the one time, as it takes the observer.
        unsafe { (self.completed)(self.context, status) };
    }
}

/// Ends what a reference was kept for: the observer of a request that is [made with it](Observer::of) calls this once, at any IRQL up to
/// `DISPATCH_LEVEL`.
pub(crate) trait Tells<T: Counted> {
    /// # Safety
    ///
    /// An observer of this type, which had the reference, is told: the request has completed with this status, or could not be made.
    unsafe fn tell(shared: Shared<T>, status: NTSTATUS);
}
