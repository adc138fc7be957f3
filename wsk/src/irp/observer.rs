//! [`Observer`]: who is told of a completion.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::NTSTATUS;

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

    /// Tells of the completion, with the IRP's status, or another error when the request could not be made.
    #[inline]
    pub(crate) fn tell(self, status: NTSTATUS) {
        // SAFETY: by the invariant; this is the one time, as it takes the observer.
        unsafe { (self.completed)(self.context, status) };
    }
}
