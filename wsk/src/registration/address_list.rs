//! [`AddressList`]: the addresses that WSK gives for a name (`ADDRINFOEXW`), until they are given back
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

#![forbid(unsafe_code)]

use core::ptr::NonNull;

use wsk_sys::ADDRINFOEXW;

use crate::error::{Error, Memory};
use crate::memory::shared::Shared;
use crate::registration::capture::{Addresses, AddressesOf, Capture, Late, Place};

/// Addresses that WSK has given for hints, or the place for them. They are given back when this is dropped: above `PASSIVE_LEVEL` later.
pub(crate) struct AddressList {
    found: Late<Addresses>,
}

impl AddressList {
    /// Room for addresses, none yet, with the hints by which they are looked up. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve(capture: &Shared<Capture>, hints: ADDRINFOEXW) -> Result<Self, Error> {
        let found = Late::new(Place::new(capture, Addresses::of(hints)));
        Ok(Self {
            found: found.ok_or(Error::NoMemory(Memory::Buffer))?,
        })
    }

    /// Where the hints are.
    pub(crate) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        self.found.beside.hints()
    }

    /// Where WSK is to put a pointer to the list that it gives for them, and nobody anything else.
    pub(crate) fn result(&self) -> NonNull<*mut ADDRINFOEXW> {
        self.found.place()
    }

    /// Whether WSK has put nothing there.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.get().is_null()
    }

    /// WSK has put nothing there: its answer was an error.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
    }

    /// The addresses, in the order in which WSK gave them.
    pub(crate) fn iter(&self) -> AddressesOf<'_> {
        self.found.iter()
    }
}
