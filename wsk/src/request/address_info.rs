//! [`AddressInfo`]: the addresses of a name, and their release
//! ([`WskFreeAddressInfo`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)).

use core::alloc::Layout;
use core::fmt;
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
use crate::registration::{Capture, PutOff};

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
///
/// # Invariants
///
/// `block` is a pool block that nobody else has, initialised.
#[doc(alias("WskFreeAddressInfo", "ADDRINFOEXW"))]
pub struct AddressInfo {
    block: NonNull<Found>,
}

/// The pool block behind [`AddressInfo`].
///
/// # Invariants
///
/// `list` is null, or a list that WSK gave through the capture and has not taken back.
#[repr(C)]
struct Found {
    put_off: PutOff,
    list: *mut ADDRINFOEXW,
    capture: ManuallyDrop<Shared<Capture>>,
}

// SAFETY: block and list are memory that this value alone has, bound to no thread; WSK takes the list back on any.
unsafe impl Send for AddressInfo {}
// SAFETY: through `&AddressInfo` block and list are only read.
unsafe impl Sync for AddressInfo {}

impl AddressInfo {
    /// Room for addresses, none yet.
    pub(super) fn reserve(capture: &Shared<Capture>) -> Result<Self, Error> {
        let memory = memory::allocate(Layout::new::<Found>());
        let block = memory.ok_or(Error::NoMemory(Memory::Buffer))?.cast();
        // SAFETY: freshly allocated with that layout. The block is given away when it is put off, and freed as `free` asks.
        unsafe {
            block.write(Found {
                put_off: PutOff::new(free),
                list: core::ptr::null_mut(),
                capture: ManuallyDrop::new(capture.clone()),
            });
        }
        // INVARIANT: initialised, and ours alone.
        Ok(Self { block })
    }

    /// Takes over the list that a lookup has given.
    ///
    /// # Safety
    ///
    /// It is a list of `WskGetAddressInfo` of the same client, which nobody else frees, and there is none here yet.
    pub(super) unsafe fn take_over(&mut self, list: NonNull<ADDRINFOEXW>) {
        // SAFETY: by the invariant the block is ours; the caller gives the list away.
        unsafe { (*self.block.as_ptr()).list = list.as_ptr() };
    }

    /// The addresses, in the order in which WSK advises to try them. Those that are neither IPv4 nor IPv6 are left out.
    #[must_use]
    pub fn iter(&self) -> Addresses<'_> {
        // SAFETY: by the invariant the block is ours.
        let next = unsafe { (*self.block.as_ptr()).list };
        // INVARIANT: the list stays as long as this.
        Addresses {
            next,
            info: PhantomData,
        }
    }
}

impl<'i> IntoIterator for &'i AddressInfo {
    type Item = SocketAddr;
    type IntoIter = Addresses<'i>;

    fn into_iter(self) -> Addresses<'i> {
        self.iter()
    }
}

impl Drop for AddressInfo {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is ours, and is given away once. It may be freed as soon as it is put off, and so the capture
        // is kept meanwhile.
        unsafe {
            if (*self.block.as_ptr()).list.is_null() || at_passive_level().is_ok() {
                free(self.block.cast());
            } else {
                let capture = Shared::clone(&(*self.block.as_ptr()).capture);
                capture.put_off(self.block.cast());
            }
        }
    }
}

impl fmt::Debug for AddressInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Gives a list back, if there is one, and frees its block. IRQL: `PASSIVE_LEVEL` with a list, else `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// `put_off` begins a [`Found`] that is the caller's, who gives it away.
unsafe fn free(put_off: NonNull<PutOff>) {
    let block = put_off.cast::<Found>();
    // SAFETY: the caller gives the block away; by its invariant the list is WSK's to take back, once.
    let capture = unsafe {
        let found = block.read();
        memory::free(block.cast());
        let capture = ManuallyDrop::into_inner(found.capture);
        if let (Some(list), Ok(table)) = (NonNull::new(found.list), capture.dispatch()) {
            // A provider without the entry gave no list.
            let _ = table.wsk_free_address_info(capture.client(), list);
        }
        capture
    };
    drop(capture);
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
///
/// # Invariants
///
/// `next` is null, or a list that is valid for `'i`.
#[derive(Debug, Clone)]
pub struct Addresses<'i> {
    next: *const ADDRINFOEXW,
    info: PhantomData<&'i AddressInfo>,
}

impl Iterator for Addresses<'_> {
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

impl core::iter::FusedIterator for Addresses<'_> {}
