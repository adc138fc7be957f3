//! Name resolution: the addresses of a host's name, through `WskGetAddressInfo`, and the names of an address, through
//! `WskGetNameInfo`.

#![forbid(unsafe_code)]

use crate::registration::Provider;

use crate::address::ToSocketAddr;
use crate::request::{self, Looking, Lookup, NameOf, NameRoom, Request, Resolve};

impl Provider {
    /// Looks up the addresses of a name. IRQL: `PASSIVE_LEVEL`, whichever finisher runs it.
    ///
    /// Allocates memory for the name and for the result. Dropping an operation that was started cancels it.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// let found = provider.resolve(("localhost", "80")).wait()?;
    /// for address in &found {
    ///     assert!(address.ip().is_loopback());
    ///     assert_eq!(address.port(), 80);
    /// }
    /// # assert!(found.iter().count() > 0);
    /// # drop((found, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskGetAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::WrongIrql`](crate::Error::WrongIrql), [`Error::BadName`](crate::Error::BadName),
    /// [`Error::NoMemory`](crate::Error::NoMemory); or the error of WSK, such as `STATUS_NO_MATCH` or `STATUS_NOT_FOUND` for a name
    /// that is unknown. `STATUS_DEVICE_NOT_READY` when the [`Registration`](crate::Registration) is being dropped.
    #[doc(alias = "WskGetAddressInfo")]
    pub fn resolve<'s, 'n>(
        &'s self,
        lookup: impl Into<Lookup<'n>>,
    ) -> Request<'s, Resolve<'n>, Looking> {
        request::resolve(self, lookup.into())
    }

    /// Looks up the names of an address and of its port. IRQL: `PASSIVE_LEVEL`, whichever finisher runs it.
    ///
    /// Allocates room for the names. Dropping an operation that was started cancels it.
    ///
    /// ```
    /// # let kernel = wsk_host::Kernel::boot();
    /// # let registration = wsk::Registration::new()?;
    /// # let provider = registration.capture(wsk::Wait::Forever)?;
    /// use core::net::SocketAddr;
    ///
    /// let address = SocketAddr::from(([127, 0, 0, 1], 80));
    /// let names = provider.name_of(address).numeric().wait()?;
    /// assert_eq!(names.to_string(), "127.0.0.1:80");
    /// # drop((names, provider, registration));
    /// # kernel.shutdown();
    /// # Ok::<(), wsk::Error>(())
    /// ```
    ///
    /// [`WskGetNameInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_name_info).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::WrongIrql`](crate::Error::WrongIrql), [`Error::NoMemory`](crate::Error::NoMemory); or the error of WSK.
    /// `STATUS_DEVICE_NOT_READY` when the [`Registration`](crate::Registration) is being dropped.
    #[doc(alias = "WskGetNameInfo")]
    pub fn name_of(&self, address: impl ToSocketAddr) -> Request<'_, NameOf, NameRoom> {
        request::name_of(self, address.decoded())
    }
}
