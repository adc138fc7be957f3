//! Name resolution: the addresses of a host's name, by `WskGetAddressInfo`.

#![forbid(unsafe_code)]

use crate::registration::Provider;
use crate::request::{self, Looking, Lookup, Request, Resolve};

impl Provider {
    /// Looks up the addresses of a name: the request gives them. IRQL: `PASSIVE_LEVEL`, whichever way it is run.
    ///
    /// Allocates room for the name, and for what is found. Dropping an operation that was started cancels it.
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
    /// [`Error::NoMemory`](crate::Error::NoMemory); or what WSK says, such as `STATUS_NO_MATCH` or `STATUS_NOT_FOUND` for a name
    /// that is unknown. `STATUS_DEVICE_NOT_READY` when the [`Registration`](crate::Registration) is being dropped.
    #[doc(alias = "WskGetAddressInfo")]
    pub fn resolve<'s, 'n>(
        &'s self,
        lookup: impl Into<Lookup<'n>>,
    ) -> Request<'s, Resolve<'n>, Looking> {
        request::resolve(self, lookup.into())
    }
}
