//! [`AddressList`]: the addresses that WSK gives for a name (`ADDRINFOEXW`), until they are given back
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

#![forbid(unsafe_code)]

use core::ptr::NonNull;

use wsk_sys::ADDRINFOEXW;

use crate::error::{Error, Memory};
use crate::memory::Shared;
use crate::registration::capture::{AddressesOf, Capture, FoundAddresses, Late, PointerPlace};

/// The addresses that WSK has found for a name, or the place for them. Dropping this gives them back, later if the IRQL is above
/// `PASSIVE_LEVEL`.
pub(crate) struct AddressList {
    found: Late<FoundAddresses>,
}

impl AddressList {
    /// An empty list, with the hints for the lookup. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve(capture: &Shared<Capture>, hints: ADDRINFOEXW) -> Result<Self, Error> {
        let found = Late::new(PointerPlace::new(capture, FoundAddresses::of(hints)));
        Ok(Self {
            found: found.ok_or(Error::NoMemory(Memory::Buffer))?,
        })
    }

    /// The address of the hints.
    pub(crate) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        self.found.beside.hints()
    }

    /// The address to which WSK, and nobody else, writes a pointer to the list.
    pub(crate) fn result(&self) -> NonNull<*mut ADDRINFOEXW> {
        self.found.place()
    }

    /// Whether WSK has written no list.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.get().is_null()
    }

    /// Empties the list, after a lookup that has failed: what WSK has written then is no list.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
    }

    /// The addresses, in the order in which WSK gave them.
    pub(crate) fn iter(&self) -> AddressesOf<'_> {
        self.found.iter()
    }
}
