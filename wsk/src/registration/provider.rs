//! [`Provider`]: the captured provider, and the owner of the sockets that are made through it.

use core::fmt;
use core::ptr::NonNull;

use wsk_sys::{EPROCESS, ETHREAD, WSK_PROVIDER_NPI};

use crate::memory::Shared;
use crate::registration::capture::Capture;
use crate::registration::owner::Owner;
use crate::registration::security::SecurityDescriptor;

/// The captured WSK provider, through which sockets are made.
///
/// A handle: clones stand for the same capture, which ends when the last of them and of the sockets is gone. May be dropped at
/// any IRQL up to `DISPATCH_LEVEL`.
#[derive(Clone)]
#[doc(alias("WskReleaseProviderNPI", "WSK_PROVIDER_NPI", "PWSK_CLIENT"))]
pub struct Provider {
    pub(super) capture: Shared<Capture>,
    pub(super) owner: Owner,
}

impl Provider {
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }

    /// The provider's NPI: its dispatch table and the client's handle, for functions of [`wsk_sys::WSK_PROVIDER_DISPATCH`] that this crate does
    /// not offer. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Getting the NPI is safe; using its pointers is unsafe. Code that uses them:
    ///
    /// * uses them only while this provider, a clone of it or a socket that was made through it exists, which keeps the provider captured;
    /// * calls no entry beyond the end of the table, which may be shorter on an older Windows;
    /// * closes every socket that it makes before the last of these is dropped, and never closes the sockets of this crate;
    /// * does not release the provider (`WskReleaseProviderNPI`), and keeps the rules of
    ///   [`control_client_raw`](Self::control_client_raw).
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// let npi = provider.npi();
    /// // SAFETY: the provider is there, and every table begins with its version.
    /// assert_eq!(unsafe { (*npi.Dispatch).Version }, 0x0100);
    /// # drop((provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WSK_PROVIDER_NPI`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_provider_npi).
    #[doc(alias("WSK_PROVIDER_NPI", "WSK_PROVIDER_DISPATCH", "PWSK_CLIENT"))]
    #[must_use]
    pub fn npi(&self) -> WSK_PROVIDER_NPI {
        self.capture.npi()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("ntddi", &format_args!("{:#010x}", self.capture.ntddi()))
            .finish_non_exhaustive()
    }
}

/// The parameters of the sockets that are made through a provider. Those that a listening socket accepts are of the owner of that.
impl Provider {
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Another handle of the same provider. Its sockets belong to a process, and perhaps to one of its threads. When such a socket is
    /// bound, WSK uses their security context to decide whether an address in use can be shared. IRQL: `<= DISPATCH_LEVEL`.
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
    ///     // SAFETY: the process is there during the call, at whose end the handle is gone and the request completed, with a socket or without.
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
    /// Process and thread are there, by a reference that the driver holds to each, until this handle and its clones are gone, and the
    /// requests to open or connect a socket that were made with it have completed: also those that were dropped, forgotten or abandoned.
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

    /// Another handle of the same provider. Its sockets have a security descriptor, which determines who may share their local address.
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// Without it nobody may.
    ///
    /// [`WskSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket), `SecurityDescriptor`.
    #[doc(alias("SecurityDescriptor", "PSECURITY_DESCRIPTOR"))]
    #[must_use]
    pub fn secured_by(&self, descriptor: &SecurityDescriptor) -> Self {
        let mut provider = self.clone();
        provider.owner.secure(descriptor.clone());
        provider
    }
}
