//! Whose the sockets are that are made through a provider: the last three parameters of `WskSocket` and `WskSocketConnect`.

use core::ffi::c_void;
use core::ptr::NonNull;

use wsk_sys::{EPROCESS, ETHREAD};

use crate::registration::{Provider, SecurityDescriptor};

/// Whose a socket is.
///
/// # Invariants
///
/// Process and thread, where there are any, are there as long as this or a clone of it.
#[derive(Clone, Default)]
pub(crate) struct Owner {
    process: Option<NonNull<EPROCESS>>,
    thread: Option<NonNull<ETHREAD>>,
    security: Option<SecurityDescriptor>,
}

// SAFETY: the pointers are only passed to WSK, which takes them on any thread.
unsafe impl Send for Owner {}
// SAFETY: as for `Send`.
unsafe impl Sync for Owner {}

/// [`Owner`] as WSK is told of it: valid as long as that is there.
#[derive(Clone, Copy)]
pub(crate) struct OwnerPointers {
    pub(crate) process: Option<NonNull<EPROCESS>>,
    pub(crate) thread: Option<NonNull<ETHREAD>>,
    pub(crate) security: Option<NonNull<c_void>>,
}

impl Owner {
    pub(crate) fn pointers(&self) -> OwnerPointers {
        OwnerPointers {
            process: self.process,
            thread: self.thread,
            security: self
                .security
                .as_ref()
                .and_then(|security| NonNull::new(security.as_ptr())),
        }
    }
}

/// The parameters of the sockets that are made through a provider. Those that a listening socket accepts are of the owner of that.
impl Provider {
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Another handle of the same capture, whose sockets are of a process, and perhaps of one of its threads: when such a socket is
    /// bound, WSK looks at their security context to decide whether an address in use can be shared. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Without it sockets are of the process in which they are opened: in a driver's own threads, that is `System`.
    ///
    /// ```
    /// use core::ptr::NonNull;
    /// use wsk::{DatagramSocket, Error, Family, Provider};
    ///
    /// /// # Safety
    /// ///
    /// /// The driver holds a reference to the process during the call.
    /// unsafe fn open_for(
    ///     provider: &Provider,
    ///     process: NonNull<wsk_sys::EPROCESS>,
    /// ) -> Result<DatagramSocket, Error> {
    ///     // SAFETY: the process is there during the call, at whose end the handle is gone, and the socket made.
    ///     let for_process = unsafe { provider.owned_by(Some(process), None) };
    ///     DatagramSocket::open(&for_process, Family::V4)
    /// }
    /// ```
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket), `OwningProcess` and
    /// `OwningThread`.
    ///
    /// # Safety
    ///
    /// Process and thread are there, by a reference that the driver holds to each, until this handle, its clones, and the requests to
    /// open or connect a socket that were made with it are gone.
    #[doc(alias("OwningProcess", "OwningThread", "PEPROCESS", "PETHREAD"))]
    #[must_use]
    pub unsafe fn owned_by(
        &self,
        process: Option<NonNull<EPROCESS>>,
        thread: Option<NonNull<ETHREAD>>,
    ) -> Self {
        let mut provider = self.clone();
        // INVARIANT: the caller says so.
        provider.owner.process = process;
        provider.owner.thread = thread;
        provider
    }

    /// Another handle of the same capture, whose sockets have a security descriptor: it says who may share the local address of such a
    /// socket. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Without it nobody may.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket), `SecurityDescriptor`.
    #[doc(alias("SecurityDescriptor", "PSECURITY_DESCRIPTOR"))]
    #[must_use]
    pub fn secured_by(&self, descriptor: &SecurityDescriptor) -> Self {
        let mut provider = self.clone();
        provider.owner.security = Some(descriptor.clone());
        provider
    }
}
