//! Registration with WSK and capture of its provider NPI, the table through which sockets are made.

mod address_list;
mod capture;
mod client_control;
mod owner;
mod provider;
mod security;
mod transport;

pub(crate) use address_list::AddressList;
pub(crate) use capture::{AddressesOf, Brought, Capture, ClientCode, bytes, hold};
pub use capture::{RawClientControl, RawDescriptor, StaticEvents};
pub(crate) use owner::{Owner, OwnerPointers};
pub use provider::Provider;
pub use security::{DescriptorRoom, SecurityDescriptor};
pub use transport::{TdiDevice, Transport};

use core::fmt;

use wsk_sys::{WSK_INFINITE_WAIT, WSK_NO_WAIT};

use crate::error::{Error, Memory};
use crate::irp::alarm;
use crate::irql::{AtPassiveLevel, at_passive_level};
use crate::memory::Shared;
use crate::registration::capture::Registered;

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

/// A registration as a WSK client: the first thing a driver makes, and the last it drops.
///
/// Dropping it deregisters, which waits until every socket is closed, every [`Provider`] dropped and every operation over,
/// whether the provider itself waits for that or not. Drop these first, at the latest in `DriverUnload`: a thread that waits for
/// handles of its own waits for ever. Dropping it above `PASSIVE_LEVEL`, which is a mistake, leaves the client registered for good:
/// the driver must then never be unloaded.
///
/// [`WskRegister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister),
/// [`WskDeregister`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister).
#[doc(alias("WskDeregister", "WSK_REGISTRATION"))]
#[must_use = "dropping a registration deregisters at once"]
pub struct Registration {
    registered: Registered,
}

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
        Self::register(at_passive_level()?)
    }

    /// Registers. The IRQL has been checked.
    fn register(passive: AtPassiveLevel) -> Result<Self, Error> {
        let registered = Registered::new(passive)?;
        alarm::enter();
        Ok(Self { registered })
    }

    /// Captures the provider, and waits for it for as long as `wait` says. IRQL: `PASSIVE_LEVEL`. Allocates the state of the provider.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::NoMemory`], or the error of `WskCaptureProviderNPI`: `STATUS_DEVICE_NOT_READY` when the
    /// provider is not there in time, `STATUS_NOINTERFACE` when it does not speak this version.
    #[doc(alias = "WskCaptureProviderNPI")]
    pub fn capture(&self, wait: Wait) -> Result<Provider, Error> {
        let passive = at_passive_level()?;
        let wait = match wait {
            Wait::No => WSK_NO_WAIT,
            // The greatest number means for ever.
            Wait::Milliseconds(milliseconds) => milliseconds.min(WSK_INFINITE_WAIT - 1),
            Wait::Forever => WSK_INFINITE_WAIT,
        };
        let capture = self.registered.capture(wait, passive)?;
        match Shared::new(capture) {
            Ok(capture) => Ok(Provider {
                capture,
                owner: Owner::default(),
            }),
            Err(capture) => {
                capture.end();
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
        let told = self.registered.characteristics()?;
        Ok(ProviderCharacteristics {
            lowest_version: told.LowestVersion,
            highest_version: told.HighestVersion,
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Ok(passive) = at_passive_level() else {
            // WSK cannot be told here: the registration, which it goes on using, stays for ever.
            self.registered.leave();
            return;
        };
        self.registered.deregister(passive);
        // A completion routine that gave the last capture back may still be on its way out of the driver.
        alarm::leave(passive.may_wait());
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}
