//! Memory descriptor lists. Nothing is locked here, because all memory is resident.

use core::ffi::c_void;

use real::{
    IRP, KPROCESSOR_MODE, LOCK_OPERATION, MDL, MmGetMdlVirtualAddress, MmInitializeMdl, NTSTATUS,
    STATUS_SUCCESS,
};

/// `IoAllocateMdl`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[must_use]
pub unsafe fn IoAllocateMdl(
    start: *mut c_void,
    length: u32,
    _: u8,
    _: u8,
    _: *mut IRP,
) -> *mut MDL {
    let mdl = Box::into_raw(Box::<MDL>::default());
    // SAFETY: there is room for the list.
    unsafe { MmInitializeMdl(mdl, start, length as usize) };
    mdl
}

/// `IoFreeMdl`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn IoFreeMdl(mdl: *mut MDL) {
    // SAFETY: the caller returns a list of `IoAllocateMdl`.
    drop(unsafe { Box::from_raw(mdl) });
}

/// `MmBuildMdlForNonPagedPool`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn MmBuildMdlForNonPagedPool(_: *mut MDL) {}

/// `MmProbeAndLockPages`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn TryProbeAndLockPages(_: *mut MDL, _: KPROCESSOR_MODE, _: LOCK_OPERATION) -> NTSTATUS {
    STATUS_SUCCESS
}

/// `MmUnlockPages`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn MmUnlockPages(_: *mut MDL) {}

/// `MmGetSystemAddressForMdlSafe`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[must_use]
pub unsafe fn MmGetSystemAddressForMdlSafe(mdl: *mut MDL, _: u32) -> *mut c_void {
    // SAFETY: the caller owns the list.
    unsafe { MmGetMdlVirtualAddress(mdl) }
}
