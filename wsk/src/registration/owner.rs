//! The owner of the sockets that are made through a provider: the last three parameters of `WskSocket` and `WskSocketConnect`.

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use wsk_sys::{EPROCESS, ETHREAD};

use crate::registration::security::SecurityDescriptor;

/// The owner of a socket.
///
/// # Invariants
///
/// The process and the thread, if there are any, are valid as long as this or a clone of it.
#[derive(Clone, Default)]
pub(crate) struct Owner {
    pub(super) process: Option<NonNull<EPROCESS>>,
    pub(super) thread: Option<NonNull<ETHREAD>>,
    security: Security,
}

/// The security descriptor of an owner, if it has one, and the function that drops it. By way of a pointer, so that it is not in a driver
/// without security descriptors.
#[derive(Clone, Default)]
struct Security(Option<(Descriptor, fn(Descriptor))>);

type Descriptor = ManuallyDrop<SecurityDescriptor>;

impl Drop for Security {
    #[inline]
    fn drop(&mut self) {
        if let Some((descriptor, release)) = self.0.take() {
            release(descriptor);
        }
    }
}

// SAFETY: the pointers are only passed to WSK, which takes them on any thread.
unsafe impl Send for Owner {}
// SAFETY: as for `Send`.
unsafe impl Sync for Owner {}

/// The pointers of an [`Owner`] for WSK, valid as long as the owner.
#[derive(Clone, Copy)]
pub(crate) struct OwnerPointers {
    pub(crate) process: Option<NonNull<EPROCESS>>,
    pub(crate) thread: Option<NonNull<ETHREAD>>,
    pub(crate) security: Option<NonNull<c_void>>,
}

impl Owner {
    /// Gives the owner a security descriptor.
    pub(super) fn secure(&mut self, descriptor: SecurityDescriptor) {
        let release = |descriptor| drop(ManuallyDrop::into_inner(descriptor));
        self.security = Security(Some((ManuallyDrop::new(descriptor), release)));
    }

    pub(crate) fn pointers(&self) -> OwnerPointers {
        OwnerPointers {
            process: self.process,
            thread: self.thread,
            security: match &self.security {
                Security(Some((descriptor, _))) => NonNull::new(descriptor.as_ptr()),
                Security(None) => None,
            },
        }
    }
}
