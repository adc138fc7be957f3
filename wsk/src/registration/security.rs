//! Security descriptors that WSK caches for sockets.

#![forbid(unsafe_code)]

use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

use crate::error::{Error, Memory};
use crate::irql::at_passive_level;
use crate::memory::{Last, Shared};
use crate::registration::capture::{
    Cached, Capture, ClientAtOnce, Late, PointerPlace, RawDescriptor, bytes,
};

/// A security descriptor that WSK has cached, for sockets: it determines who may share the local address of a socket.
///
/// This is a handle. Clones refer to the same descriptor, which WSK releases (`WSK_RELEASE_SD`) when the last handle is dropped, at any IRQL up
/// to `DISPATCH_LEVEL`. If that is above `PASSIVE_LEVEL`, WSK releases it later: when a name is looked up, or at the latest when the
/// [`Registration`](crate::Registration) is dropped, which waits for all handles.
///
/// [`WSK_CACHE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-cache-sd),
/// [`WSK_RELEASE_SD`](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-release-sd).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # #[repr(C)]
/// # struct Raw { revision: u8, zero: u8, control: u16, rest: [usize; 4] }
/// # // A descriptor that lets everybody: SE_DACL_PRESENT with a null list.
/// # let raw = Raw { revision: 1, zero: 0, control: 4, rest: [0; 4] };
/// # let descriptor = core::ptr::NonNull::from(&raw).cast();
/// use wsk::raw::RawDescriptor;
/// use wsk::{DatagramSocket, Family};
///
/// // SAFETY: the driver has built the descriptor with RtlCreateSecurityDescriptor and its kin, and changes it no more.
/// let descriptor = unsafe { RawDescriptor::new(descriptor) };
/// let descriptor = provider.cache_security_descriptor(descriptor)?;
/// // Every socket that is opened with this has the descriptor.
/// let socket = DatagramSocket::open(&provider.secured_by(&descriptor), Family::V4)?;
/// # drop((descriptor, socket));
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WSK_CACHE_SD", "WSK_RELEASE_SD", "PSECURITY_DESCRIPTOR"))]
#[derive(Clone)]
pub struct SecurityDescriptor {
    cached: Shared<Last<Late<Cached>>>,
}

/// The room for a security descriptor that WSK is asked for. Dropping it releases the descriptor that WSK has written there.
///
/// # Invariants
///
/// Nobody else has `cached`. WSK writes to it a descriptor that it has cached for the client of `capture`, or nothing.
pub struct DescriptorRoom {
    cached: Option<Shared<Last<Late<Cached>>>>,
    capture: Shared<Capture>,
}

impl DescriptorRoom {
    /// Room that is not allocated yet.
    pub(crate) fn new(capture: &Shared<Capture>) -> Self {
        Self {
            cached: None,
            capture: capture.clone(),
        }
    }

    /// Allocates it.
    pub(crate) fn reserve(&mut self) -> Result<(), Error> {
        let none = Error::NoMemory(Memory::Registration);
        let cached = Late::new(PointerPlace::new(&self.capture, Cached)).ok_or(none)?;
        let cached = Shared::new(Last::new(cached)).map_err(|cached| {
            drop(cached.into_inner());
            none
        })?;
        self.cached = Some(cached);
        Ok(())
    }

    /// The place in nonpaged memory where WSK, and nobody else, writes a pointer to a descriptor that it has cached.
    pub(crate) fn place(&self) -> Option<NonNull<[u8]>> {
        Some(bytes(self.cached.as_ref()?.place()))
    }

    /// Empties the room, after a request that has failed: what WSK has written then is no descriptor.
    pub(crate) fn clear(&mut self) {
        if let Some(cached) = &self.cached {
            cached.clear();
        }
    }

    /// The descriptor that WSK has written.
    pub(crate) fn take(&mut self) -> Option<SecurityDescriptor> {
        let cached = self.cached.take()?;
        Some(SecurityDescriptor { cached })
    }
}

impl fmt::Debug for DescriptorRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescriptorRoom").finish_non_exhaustive()
    }
}

impl SecurityDescriptor {
    /// Has WSK cache a descriptor. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn cache(
        capture: &Shared<Capture>,
        descriptor: RawDescriptor,
    ) -> Result<Self, Error> {
        at_passive_level()?;
        let mut room = DescriptorRoom::new(capture);
        room.reserve()?;
        let cached = room.cached.as_ref().ok_or(Error::Taken)?;
        if let Err(error) = ClientAtOnce::Cache(descriptor, cached).carry_out(capture, &mut 0) {
            room.clear();
            return Err(error);
        }
        room.take().ok_or(Error::Taken)
    }

    /// The cached descriptor, which is valid as long as this. Only WSK may use it.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.cached.get()
    }
}

impl fmt::Debug for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityDescriptor").finish_non_exhaustive()
    }
}
