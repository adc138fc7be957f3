//! The owner of the sockets that are made through a provider: the last three parameters of `WskSocket` and `WskSocketConnect`.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::{EPROCESS, ETHREAD};

use crate::memory::Rare;
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
    security: Rare<SecurityDescriptor>,
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
        self.security = Rare::some(descriptor);
    }

    pub(crate) fn pointers(&self) -> OwnerPointers {
        OwnerPointers {
            process: self.process,
            thread: self.thread,
            security: self
                .security
                .get()
                .and_then(|security| NonNull::new(security.as_ptr())),
        }
    }
}
