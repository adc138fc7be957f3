//! Memory with an MDL that is not the sockets' business: as a request to a disk driver brings it.

use core::ffi::c_void;
use core::fmt;
use core::ptr::{NonNull, null_mut};

use wsk::{DriverMdl, DriverMdlMut, Error, NTSTATUS};
use wsk_sys::{
    ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, MDL,
    MmBuildMdlForNonPagedPool, POOL_TYPE, STATUS_INSUFFICIENT_RESOURCES,
};

const TAG: u32 = u32::from_le_bytes(*b"NbdB");

/// Memory of a request.
///
/// # Invariants
///
/// `memory` is a block of nonpaged pool of `LENGTH` initialised bytes and `mdl` describes it; both are this value's own.
pub(crate) struct Block<const LENGTH: usize> {
    memory: NonNull<[u8; LENGTH]>,
    mdl: NonNull<MDL>,
}

// SAFETY: the memory is this value's, on whatever thread.
unsafe impl<const LENGTH: usize> Send for Block<LENGTH> {}
// SAFETY: through a shared reference it is only read.
unsafe impl<const LENGTH: usize> Sync for Block<LENGTH> {}

impl<const LENGTH: usize> Block<LENGTH> {
    /// Zeros. IRQL: `<= DISPATCH_LEVEL`.
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
        // SAFETY: the block is as long as the MDL says, and is initialised here.
        let mdl = unsafe {
            memory.cast::<u8>().write_bytes(0, LENGTH);
            IoAllocateMdl(memory.as_ptr(), length, 0, 0, null_mut())
        };
        let Some(mdl) = NonNull::new(mdl) else {
            // SAFETY: the block is ours, and used no more.
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
        // SAFETY: by the invariant so many initialised bytes are there, which nobody changes while this is borrowed.
        unsafe { self.memory.as_ref() }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; LENGTH] {
        // SAFETY: as for `bytes`; this is borrowed exclusively.
        unsafe { self.memory.as_mut() }
    }

    /// The block, to be sent.
    pub(crate) fn sending(&mut self) -> Result<DriverMdl<&mut Self>, Error> {
        // SAFETY: the MDL describes the block; nothing else uses either while this is borrowed exclusively, which it is by the result. A
        // request that may go on without its caller, and so without the borrow, takes nothing that is borrowed.
        unsafe { DriverMdl::with_owner(self.mdl, 0, LENGTH, self) }.map_err(|(error, _)| error)
    }

    /// The block, to be received into.
    pub(crate) fn receiving(&mut self) -> Result<DriverMdlMut<&mut Self>, Error> {
        // SAFETY: as for `sending`.
        unsafe { DriverMdlMut::with_owner(self.mdl, 0, LENGTH, self) }.map_err(|(error, _)| error)
    }
}

impl<const LENGTH: usize> Drop for Block<LENGTH> {
    fn drop(&mut self) {
        // SAFETY: by the invariant both are this value's, and no request has them: those that have are over before their borrow ends.
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
