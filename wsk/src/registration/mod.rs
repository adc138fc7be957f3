//! Registration with WSK and capture of its provider NPI, the table through which sockets are made.

mod address_list;
mod capture;
mod client_control;
mod owner;
mod provider;
mod security;

pub(crate) use address_list::{AddressList, AddressesOf};
pub(crate) use capture::{Capture, hold};
pub use client_control::{TdiDevice, Transport};
pub(crate) use owner::{Owner, OwnerPointers};
pub use provider::Provider;
pub(crate) use security::ClientControl;
pub use security::{DescriptorRoom, SecurityDescriptor};

use core::ffi::c_void;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};

use wsk_sys::{
    NTSTATUS, STATUS_NOT_IMPLEMENTED, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_INFINITE_WAIT,
    WSK_NO_WAIT, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI, WSK_REGISTRATION,
    WskCaptureProviderNPI, WskDeregister, WskQueryProviderCharacteristics, WskRegister,
};

use crate::error::{Call, Error, Memory};
use crate::irp::alarm;
use crate::irql::at_passive_level;
use crate::memory;
use crate::memory::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use crate::memory::event::Event;
use crate::memory::shared::Shared;
use crate::registration::capture::{Client, ClientRef, Release, running_ntddi};

/// The time to wait for the WSK provider, which may not be there yet while the system starts.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk::{Registration, Wait};
///
/// // In `DriverEntry`: the provider may need the boot to go on before it is there.
/// let registration = Registration::new()?;
/// let provider = registration.capture(Wait::Milliseconds(10_000))?;
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Not at all.
    #[doc(alias = "WSK_NO_WAIT")]
    No,
    /// At most so many milliseconds.
    Milliseconds(u32),
    /// Until it is there. A driver that is loaded while the system boots must not wait so in its `DriverEntry`: the provider may be
    /// waiting for the boot to go on, which waits for the driver. Give a limit there, and capture later, on a thread of the driver's own.
    #[doc(alias = "WSK_INFINITE_WAIT")]
    Forever,
}

/// What WSK may call back at the level of the whole client: it has no events to tell.
static CLIENT_DISPATCH: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskClientEvent: Some(client_event),
};

unsafe extern "system" fn client_event(
    _: *mut c_void,
    _: u32,
    _: *mut c_void,
    _: usize,
) -> NTSTATUS {
    STATUS_NOT_IMPLEMENTED
}

/// A registration as a WSK client: the first thing a driver makes, and the last it drops.
///
/// Dropping it deregisters, which waits until every socket is closed, every [`Provider`] dropped and every operation over,
/// whether the provider itself waits for that or not. Drop these first, at the latest in `DriverUnload`: a thread that waits for
/// handles of its own waits for ever. Dropping it above `PASSIVE_LEVEL`, which is a mistake, leaves the client registered for good:
/// the driver must then never be unloaded.
///
/// [`WskRegister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister),
/// [`WskDeregister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister).
///
/// # Invariants
///
/// The client is registered with WSK, and its block is this value's own.
#[doc(alias("WskDeregister", "WSK_REGISTRATION"))]
#[must_use = "dropping a registration deregisters at once"]
pub struct Registration {
    client: ClientRef,
}

// SAFETY: the client is nonpaged memory, bound to no thread.
unsafe impl Send for Registration {}
// SAFETY: the registration structure belongs to WSK, which synchronises its own use of it; this side only passes its address. The
// rest is atomic, or an event, which the kernel synchronises.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers with WSK. IRQL: `PASSIVE_LEVEL`. Allocates the registration.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of `WskRegister`.
    #[doc(alias("WskRegister", "WSK_CLIENT_NPI"))]
    // In a test this is compiled with the test's own code, which the linker reads first: it then misses `wsk-host` first.
    #[cfg_attr(panic = "unwind", inline)]
    pub fn new() -> Result<Self, Error> {
        at_passive_level()?;
        Self::register()
    }

    /// Registers. The IRQL has been checked.
    fn register() -> Result<Self, Error> {
        let client = memory::allocate(memory::layout::<Client>())
            .ok_or(Error::NoMemory(Memory::Registration))?
            .cast::<Client>();
        // SAFETY: freshly allocated nonpaged memory, where the client stays.
        unsafe {
            client.write(Client {
                registration: WSK_REGISTRATION::default().into(),
                count: AtomicUsize::new(1),
                put_off: AtomicPtr::new(core::ptr::null_mut()),
                event: Event::room(),
                leaving: AtomicBool::new(false),
                done: AtomicBool::new(false),
            });
            Event::initialise(&raw mut (*client.as_ptr()).event, false);
        }
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: core::ptr::null_mut(),
            Dispatch: &raw const CLIENT_DISPATCH,
        };
        // SAFETY: the dispatch table is static, and the registration stays where it is until it is deregistered. The NPI is
        // copied by the call. PASSIVE_LEVEL was checked.
        let status = unsafe { WskRegister(&raw mut npi, client.as_ref().registration.get()) };
        if !status.is_success() {
            // SAFETY: it was allocated above, and WSK has not taken the registration.
            unsafe { memory::free(client.cast()) };
            return Err(Error::Call {
                call: Call::WskRegister,
                status,
            });
        }
        alarm::enter();
        // SAFETY: the client stays until it is deregistered, which waits for all that is counted.
        let client = unsafe { ClientRef::of(client) };
        // INVARIANT: registered.
        Ok(Self { client })
    }

    /// Captures the provider, and waits for it for as long as `wait` says. IRQL: `PASSIVE_LEVEL`. Allocates the state of the provider.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of `WskCaptureProviderNPI`: `STATUS_DEVICE_NOT_READY` when the
    /// provider is not there in time, `STATUS_NOINTERFACE` when it does not speak this version.
    #[doc(alias = "WskCaptureProviderNPI")]
    pub fn capture(&self, wait: Wait) -> Result<Provider, Error> {
        at_passive_level()?;
        let wait = match wait {
            Wait::No => WSK_NO_WAIT,
            // The greatest number means for ever.
            Wait::Milliseconds(milliseconds) => milliseconds.min(WSK_INFINITE_WAIT - 1),
            Wait::Forever => WSK_INFINITE_WAIT,
        };
        let mut npi = MaybeUninit::<WSK_PROVIDER_NPI>::zeroed();
        let registration = self.client.registration.get();
        // SAFETY: by the invariant the client is registered. There is room for the NPI; PASSIVE_LEVEL was checked.
        let status = unsafe { WskCaptureProviderNPI(registration, wait, npi.as_mut_ptr()) };
        if !status.is_success() {
            return Err(Error::Call {
                call: Call::WskCaptureProviderNPI,
                status,
            });
        }
        // SAFETY: every byte was zeroed, and every bit pattern is an NPI of raw pointers.
        let npi = unsafe { npi.assume_init() };
        self.client.count.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: captured, and counted.
        let capture = Capture {
            npi,
            ntddi: running_ntddi(),
            client: self.client,
            release: ManuallyDrop::new(Release {
                client: self.client,
            }),
        };
        match Shared::new(capture) {
            Ok(capture) => Ok(Provider {
                capture,
                owner: Owner::default(),
            }),
            Err(capture) => {
                drop(ManuallyDrop::into_inner(capture.release));
                Err(Error::NoMemory(Memory::Socket))
            }
        }
    }
}

/// The versions of the WSK interface that a provider supports. The high byte is the major version: `0x0100` is 1.0.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// use wsk::{ProviderCharacteristics, Registration};
///
/// let registration = Registration::new()?;
/// let ProviderCharacteristics { lowest_version, highest_version, .. } = registration.provider_characteristics()?;
/// assert!(lowest_version <= 0x0100 && 0x0100 <= highest_version);
/// # drop(registration);
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias = "WSK_PROVIDER_CHARACTERISTICS")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProviderCharacteristics {
    /// The lowest.
    pub lowest_version: u16,
    /// The highest.
    pub highest_version: u16,
}

impl Registration {
    /// The versions of the WSK interface that the provider supports. This crate uses 1.0, the only one so far. IRQL: `<=
    /// DISPATCH_LEVEL`.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// assert!(registration.provider_characteristics()?.highest_version >= 0x0100);
    /// # drop(registration);
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskQueryProviderCharacteristics`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskqueryprovidercharacteristics).
    ///
    /// # Errors
    ///
    /// The error of WSK: `STATUS_DEVICE_NOT_READY` when the provider is not there yet.
    #[doc(alias = "WskQueryProviderCharacteristics")]
    pub fn provider_characteristics(&self) -> Result<ProviderCharacteristics, Error> {
        let mut told = WSK_PROVIDER_CHARACTERISTICS::default();
        // SAFETY: by the invariant the client is registered; there is room for what is told.
        let status = unsafe {
            WskQueryProviderCharacteristics(self.client.registration.get(), &raw mut told)
        };
        if status.is_success() {
            Ok(ProviderCharacteristics {
                lowest_version: told.LowestVersion,
                highest_version: told.HighestVersion,
            })
        } else {
            Err(Error::Call {
                call: Call::WskQueryProviderCharacteristics,
                status,
            })
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Ok(passive) = at_passive_level() else {
            // WSK cannot be told here: the registration, which it goes on using, stays for ever.
            return;
        };
        // Not every provider waits for it, and what was found for a name goes back to WSK before its capture is released.
        Client::wait_for_captures(self.client, passive);
        // SAFETY: the client is registered, and waiting is allowed. When the call returns WSK has finished with the registration, and
        // nobody else knows the client, which is freed this once.
        unsafe {
            WskDeregister(self.client.registration.get());
            memory::free(self.client.as_ptr().cast());
        }
        // A completion routine that gave the last capture back may still be on its way out of the driver.
        alarm::leave(passive.may_wait());
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}
