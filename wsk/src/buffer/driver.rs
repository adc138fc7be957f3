//! MDL chains that a driver has from somebody else: of an IRP that was passed to it, of a packet.

use core::ptr::NonNull;

use wsk_sys::{MDL, MM_PAGE_PRIORITY, MdlMappingNoExecute, MmGetSystemAddressForMdlSafe};

use crate::buffer::{Extent, Lock, ReceiveBuffer, SendBuffer};
use crate::error::{Error, Memory};

/// An MDL chain of the driver's own to send from: of an IRP that was passed to it, say, or of a packet.
///
/// It may be sent from by several operations at once, each of which reads the chain, so all of it is mapped when this is made. To
/// receive into a chain takes a [`DriverMdlMut`].
///
/// # Invariants
///
/// The extent, and its chain, are as [`from_raw`](Self::from_raw) asks, whatever thread has this; through a shared reference the
/// chain, which is mapped, is only read.
#[derive(Debug)]
pub struct DriverMdl {
    extent: Extent,
}

impl DriverMdl {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does;
    /// [`Error::NoMemory`] when the chain is not mapped and cannot be.
    ///
    /// # Safety
    ///
    /// `mdl` heads a chain of MDLs whose pages are locked for reading, or which were built for nonpaged pool. From now until
    /// the result is dropped, which the completion of the last operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, unlocked, unmapped or freed;
    /// * the bytes of the part are not written;
    /// * nobody else maps the MDLs in the meantime, unless they are mapped already.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        let extent = unsafe { Extent::new(mdl, offset, length) }?;
        let priority = MM_PAGE_PRIORITY::NormalPagePriority.0.cast_unsigned() | MdlMappingNoExecute;
        let (mut next, end) = (mdl.as_ptr(), offset.saturating_add(length));
        let mut seen = 0_usize;
        while seen < end && !next.is_null() {
            // SAFETY: the caller vouches for the chain, and that nobody else maps it now.
            unsafe {
                if MmGetSystemAddressForMdlSafe(next, priority).is_null() {
                    return Err(Error::NoMemory(Memory::Mapping));
                }
                seen = seen.saturating_add((*next).ByteCount as usize);
                next = (*next).Next;
            }
        }
        Ok(Self { extent })
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent.is_empty()
    }
}

// SAFETY: by the contract of `from_raw` the chain and its bytes stay as they are until this is dropped, and so while it is borrowed;
// it is mapped, and may be shared.
unsafe impl SendBuffer for DriverMdl {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: until this is dropped the extent is valid by the contract of `from_raw`.
        Ok(unsafe { lock.describe(self.extent) })
    }

    /// No bytes are described without the chain, which stays its owner's.
    fn abandon(&self) -> bool {
        self.extent.is_empty()
    }
}

/// An MDL chain of the driver's own to receive into.
///
/// One operation at a time uses it, so it need not be mapped.
///
/// # Invariants
///
/// The extent, and its chain, are as [`from_raw`](Self::from_raw) asks, whatever thread has this; through a shared reference the
/// chain is not used.
#[derive(Debug)]
pub struct DriverMdlMut {
    extent: Extent,
}

impl DriverMdlMut {
    /// The part of the chain at `mdl` that starts at `offset` and is `length` bytes long. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] when the offset is not inside the first MDL, or the chain ends before the part does.
    ///
    /// # Safety
    ///
    /// `mdl` heads a chain of MDLs whose pages are locked for writing, or which were built for nonpaged pool. From now until
    /// the result is dropped, which the completion of an operation that owns it may do on any thread at up to
    /// `DISPATCH_LEVEL`:
    ///
    /// * no MDL of the chain is changed, linked elsewhere, mapped, unlocked, unmapped or freed;
    /// * the bytes of the part are neither read nor written while an operation has it.
    ///
    /// A result that is forgotten, or that an operation keeps after [`Error::Abandoned`], asks for this for ever.
    pub unsafe fn from_raw(mdl: NonNull<MDL>, offset: usize, length: usize) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the chain as long as the result exists, which is how long the extent is used.
        let extent = unsafe { Extent::new(mdl, offset, length) }?;
        Ok(Self { extent })
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent.is_empty()
    }
}

// SAFETY: by the contract of `from_raw` the chain stays as it is until this is dropped, and nothing else uses its bytes while an
// operation has it, which borrows it exclusively.
unsafe impl ReceiveBuffer for DriverMdlMut {
    const LOCKS: bool = false;

    #[inline]
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: until this is dropped the extent is valid by the contract of `from_raw`.
        Ok(unsafe { lock.describe(self.extent) })
    }

    /// No bytes are described without the chain, which stays its owner's.
    fn abandon(&self) -> bool {
        self.extent.is_empty()
    }
}
