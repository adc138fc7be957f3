//! [`AddressInfo`]: the addresses of a name, and their release
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

use core::fmt;
use core::net::SocketAddr;

use crate::registration::{AddressList, AddressesOf};

/// The addresses that a name has.
///
/// May be dropped at any IRQL up to `DISPATCH_LEVEL`. WSK takes them back at `PASSIVE_LEVEL` only: dropped above that, they are
/// given back when the next name is looked up, or the [`Registration`](crate::Registration) is dropped, which waits for all of
/// them.
///
/// [`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info).
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// let found = provider.resolve(("127.0.0.1", "80")).wait()?;
/// let mut addresses = found.iter();
/// assert_eq!(addresses.next(), Some("127.0.0.1:80".parse().unwrap()));
/// # drop((found, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[doc(alias("WskFreeAddressInfo", "ADDRINFOEXW"))]
pub struct AddressInfo {
    pub(super) list: AddressList,
}

impl AddressInfo {
    /// The addresses, in the order in which WSK advises to try them. Those that are neither IPv4 nor IPv6 are left out.
    #[must_use]
    pub fn iter(&self) -> Addresses<'_> {
        Addresses(self.list.iter())
    }
}

impl<'i> IntoIterator for &'i AddressInfo {
    type Item = SocketAddr;
    type IntoIter = Addresses<'i>;

    fn into_iter(self) -> Addresses<'i> {
        self.iter()
    }
}

impl fmt::Debug for AddressInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterates over the addresses of a name.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use core::net::SocketAddr;
/// use wsk::Addresses;
///
/// /// The first address of IPv4, or else the first of all.
/// fn best(mut addresses: Addresses<'_>) -> Option<SocketAddr> {
///     addresses.clone().find(SocketAddr::is_ipv4).or_else(|| addresses.next())
/// }
///
/// let found = provider.resolve("localhost").wait()?;
/// assert!(best(found.iter()).is_some_and(|address| address.ip().is_loopback()));
/// # drop((found, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Addresses<'i>(AddressesOf<'i>);

impl Iterator for Addresses<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.0.next()
    }
}

impl core::iter::FusedIterator for Addresses<'_> {}
