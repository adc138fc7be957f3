//! [`AddressList`]: the addresses that WSK gives for a name (`ADDRINFOEXW`), until they are given back
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

use core::cell::Cell;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{ADDRINFOEXW, SOCKADDR};

use crate::address;
use crate::error::{Error, Memory};
use crate::memory::shared::Shared;
use crate::registration::capture::{Capture, GoesBack, Late};

/// Addresses that WSK has given for hints, or the place for them. They are given back when this is dropped: above `PASSIVE_LEVEL` later.
pub(crate) struct AddressList {
    found: Late<Found>,
}

/// A list that WSK gave, or none, and the hints for it.
///
/// # Invariants
///
/// `list` is null, or a list that WSK gave through the capture and has not taken back. It is dropped at `PASSIVE_LEVEL`, or when it is null.
struct Found {
    /// Written by WSK, while what it lies in is only shared.
    list: Cell<*mut ADDRINFOEXW>,
    hints: ADDRINFOEXW,
    capture: Shared<Capture>,
}

// SAFETY: the list is memory that this value alone has, bound to no thread; WSK takes it back on any.
unsafe impl Send for Found {}
// SAFETY: the list is only read; what leads to it is written as long as one room has it alone.
unsafe impl Sync for Found {}

impl GoesBack for Found {
    fn is_there(&self) -> bool {
        !self.list.get().is_null()
    }

    fn capture(&self) -> &Shared<Capture> {
        &self.capture
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        if let (Some(list), Ok(table)) = (NonNull::new(self.list.get()), self.capture.dispatch()) {
            // SAFETY: by the invariant the list is WSK's to take back, at this IRQL, once. A provider without the entry gave no list.
            let _ = unsafe { table.wsk_free_address_info(self.capture.client(), list) };
        }
    }
}

impl AddressList {
    /// Room for addresses, none yet, with the hints by which they are looked up. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve(capture: &Shared<Capture>, hints: ADDRINFOEXW) -> Result<Self, Error> {
        // INVARIANT: there is no list.
        let found = Found {
            list: Cell::new(core::ptr::null_mut()),
            hints,
            capture: capture.clone(),
        };
        let found = Late::new(found).map_err(|_| Error::NoMemory(Memory::Buffer))?;
        Ok(Self { found })
    }

    /// Where the hints are.
    pub(crate) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        NonNull::from(&self.found.hints)
    }

    /// Where WSK is to put a pointer to the list that it gives for them, and nobody anything else.
    pub(crate) fn result(&self) -> NonNull<*mut ADDRINFOEXW> {
        NonNull::from(&self.found.list).cast()
    }

    /// Whether WSK has put nothing there.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.list.get().is_null()
    }

    /// WSK has put nothing there: its answer was an error.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: null.
        self.found.list.set(core::ptr::null_mut());
    }

    /// The addresses, in the order in which WSK gave them.
    pub(crate) fn iter(&self) -> AddressesOf<'_> {
        // INVARIANT: the list stays as long as this.
        AddressesOf {
            next: self.found.list.get(),
            list: PhantomData,
        }
    }
}

/// Iterates over the addresses of a list. Those that are neither IPv4 nor IPv6 are left out.
///
/// # Invariants
///
/// `next` is null, or a list that is valid for `'i`.
#[derive(Debug, Clone)]
pub(crate) struct AddressesOf<'i> {
    next: *const ADDRINFOEXW,
    list: PhantomData<&'i AddressList>,
}

impl Iterator for AddressesOf<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        loop {
            // SAFETY: by the invariant it is null, or an entry of a list that is valid for `'i`. An entry that WSK gave has an address of
            // so many bytes, which begins with its family; no more of them are read than there are.
            unsafe {
                let info = self.next.as_ref()?;
                self.next = info.ai_next;
                if info.ai_addr.is_null() || info.ai_addrlen < size_of::<SOCKADDR>() {
                    continue;
                }
                let size = address::size_of_family((*info.ai_addr).sa_family);
                if size.is_ok_and(|size| size <= info.ai_addrlen)
                    && let Ok(address) = address::read_raw(info.ai_addr)
                {
                    return Some(address);
                }
            }
        }
    }
}
