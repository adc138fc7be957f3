//! [`AddressList`]: the addresses that WSK gives for a name (`ADDRINFOEXW`), until they are given back
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{ADDRINFOEXW, SOCKADDR};

use crate::address;
use crate::error::{Error, Memory};
use crate::irql::at_passive_level;
use crate::memory;
use crate::memory::shared::Shared;
use crate::registration::capture::{Capture, PutOff};

/// Addresses that WSK has given for hints, or the place for them. They are given back when this is dropped: above `PASSIVE_LEVEL` later.
///
/// # Invariants
///
/// `block` is a pool block that nobody else has, initialised.
pub(crate) struct AddressList {
    block: NonNull<Block>,
}

/// The pool block behind [`AddressList`].
///
/// # Invariants
///
/// `list` is null, or a list that WSK gave through the capture and has not taken back.
#[repr(C)]
struct Block {
    put_off: PutOff,
    /// Written by WSK, while what it lies in is only shared.
    list: Cell<*mut ADDRINFOEXW>,
    hints: ADDRINFOEXW,
    capture: ManuallyDrop<Shared<Capture>>,
}

// SAFETY: block and list are memory that this value alone has, bound to no thread; WSK takes the list back on any.
unsafe impl Send for AddressList {}
// SAFETY: through `&AddressList` block and list are only read.
unsafe impl Sync for AddressList {}

impl AddressList {
    /// Room for addresses, none yet, with the hints by which they are looked up. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve(capture: &Shared<Capture>, hints: ADDRINFOEXW) -> Result<Self, Error> {
        let block = memory::allocate(memory::layout::<Block>())
            .ok_or(Error::NoMemory(Memory::Buffer))?
            .cast();
        // SAFETY: freshly allocated with that layout. The block is given away when it is put off, and freed as `free` asks.
        unsafe {
            block.write(Block {
                put_off: PutOff::new(free),
                list: Cell::new(core::ptr::null_mut()),
                hints,
                capture: ManuallyDrop::new(capture.clone()),
            });
        }
        // INVARIANT: initialised, and ours alone.
        Ok(Self { block })
    }

    fn block(&self) -> &Block {
        // SAFETY: by the invariant it is there, and ours.
        unsafe { self.block.as_ref() }
    }

    /// Where the hints are.
    pub(crate) fn hints(&self) -> NonNull<ADDRINFOEXW> {
        NonNull::from(&self.block().hints)
    }

    /// Where WSK is to put a pointer to the list that it gives for them, and nobody anything else.
    pub(crate) fn result(&self) -> NonNull<*mut ADDRINFOEXW> {
        NonNull::from(&self.block().list).cast()
    }

    /// Whether WSK has put nothing there.
    pub(crate) fn is_empty(&self) -> bool {
        self.block().list.get().is_null()
    }

    /// WSK has put nothing there: its answer was an error.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: null.
        self.block().list.set(core::ptr::null_mut());
    }

    /// The addresses, in the order in which WSK gave them.
    pub(crate) fn iter(&self) -> AddressesOf<'_> {
        // INVARIANT: the list stays as long as this.
        AddressesOf {
            next: self.block().list.get(),
            list: PhantomData,
        }
    }
}

impl Drop for AddressList {
    fn drop(&mut self) {
        // It may be freed as soon as it is put off, and so the capture is kept meanwhile.
        let capture = Shared::clone(&self.block().capture);
        // SAFETY: by the invariant the block is ours, and is given away once.
        unsafe {
            if self.is_empty() || at_passive_level().is_ok() {
                free(self.block.cast());
            } else {
                capture.put_off(self.block.cast());
            }
        }
    }
}

/// Gives a list back, if there is one, and frees its block. IRQL: `PASSIVE_LEVEL` with a list, else `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// `put_off` begins a [`Block`] that is the caller's, who gives it away.
unsafe fn free(put_off: NonNull<PutOff>) {
    let block = put_off.cast::<Block>();
    // SAFETY: the caller gives the block away; by its invariant the list is WSK's to take back, once.
    let capture = unsafe {
        let Block { list, capture, .. } = block.read();
        memory::free(block.cast());
        let capture = ManuallyDrop::into_inner(capture);
        if let (Some(list), Ok(table)) = (NonNull::new(list.get()), capture.dispatch()) {
            // A provider without the entry gave no list.
            let _ = table.wsk_free_address_info(capture.client(), list);
        }
        capture
    };
    drop(capture);
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
