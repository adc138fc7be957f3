//! Memory with an MDL that the sockets do not own, like that of a request to a disk driver.

use core::ffi::c_void;
use core::fmt;
use core::ptr::{NonNull, null_mut};

use wsk::{DriverMdl, DriverMdlMut, Error, Extent, NTSTATUS};
use wsk_sys::{
    ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, MDL,
    MmBuildMdlForNonPagedPool, POOL_TYPE, STATUS_INSUFFICIENT_RESOURCES,
};

const TAG: u32 = u32::from_le_bytes(*b"NbdB");

/// The memory of a request.
///
/// # Invariants
///
/// `memory` is a block of nonpaged pool of `LENGTH` initialised bytes, and `mdl` describes it. Both belong to this value alone.
pub(crate) struct Block<const LENGTH: usize> {
    memory: NonNull<[u8; LENGTH]>,
    mdl: NonNull<MDL>,
}

// SAFETY: the memory belongs to this value, on any thread.
unsafe impl<const LENGTH: usize> Send for Block<LENGTH> {}
// SAFETY: a shared reference can only read it.
unsafe impl<const LENGTH: usize> Sync for Block<LENGTH> {}

impl<const LENGTH: usize> Block<LENGTH> {
    /// A block of zeros. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn new() -> Result<Self, NTSTATUS> {
        let Ok(length) = u32::try_from(LENGTH) else {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        };
        // SAFETY: a size and a tag.
        let memory = unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, LENGTH, TAG) };
        let memory = NonNull::new(memory).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        // SAFETY: the block has the length of the MDL, and is initialised here.
        let mdl = unsafe {
            memory.cast::<u8>().write_bytes(0, LENGTH);
            IoAllocateMdl(memory.as_ptr(), length, 0, 0, null_mut())
        };
        let Some(mdl) = NonNull::new(mdl) else {
            // SAFETY: the block belongs to this function, and nothing uses it any more.
            unsafe { ExFreePoolWithTag(memory.as_ptr(), TAG) };
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        };
        // SAFETY: the MDL describes nonpaged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl.as_ptr()) };
        Ok(Self {
            memory: memory.cast(),
            mdl,
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        // SAFETY: by the invariant there are as many initialised bytes, and nobody changes them while this is borrowed.
        unsafe { self.memory.as_ref() }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; LENGTH] {
        // SAFETY: as for `bytes`; this is borrowed exclusively.
        unsafe { self.memory.as_mut() }
    }

    /// The block, as memory to send from.
    pub(crate) fn sending(&mut self) -> Result<DriverMdl<&mut Self>, Error> {
        // SAFETY: the MDL describes the block. The result borrows this exclusively, so nothing else uses either meanwhile. A
        // request that may outlive its caller, and so the borrow, does not take borrowed memory.
        unsafe {
            Ok(DriverMdl::with_owner(
                Extent::new(self.mdl, 0, LENGTH)?,
                self,
            ))
        }
    }

    /// The block, as memory to receive into.
    pub(crate) fn receiving(&mut self) -> Result<DriverMdlMut<&mut Self>, Error> {
        // SAFETY: as for `sending`.
        unsafe {
            Ok(DriverMdlMut::with_owner(
                Extent::new(self.mdl, 0, LENGTH)?,
                self,
            ))
        }
    }
}

impl<const LENGTH: usize> Drop for Block<LENGTH> {
    fn drop(&mut self) {
        // SAFETY: by the invariant both belong to this value, and no request uses them: requests end before their borrow does.
        unsafe {
            IoFreeMdl(self.mdl.as_ptr());
            ExFreePoolWithTag(self.memory.as_ptr().cast::<c_void>(), TAG);
        }
    }
}

impl<const LENGTH: usize> fmt::Debug for Block<LENGTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("length", &LENGTH).finish()
    }
}
