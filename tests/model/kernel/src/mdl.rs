//! Memory descriptor lists. Nothing is locked here: all memory is there.

use core::ffi::c_void;

use real::{
    IRP, KPROCESSOR_MODE, LOCK_OPERATION, MDL, MmGetMdlVirtualAddress, MmInitializeMdl, NTSTATUS,
    STATUS_SUCCESS,
};

/// `IoAllocateMdl`.
///
/// # Safety
///
/// That of the function.
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
/// That of the function.
pub unsafe fn IoFreeMdl(mdl: *mut MDL) {
    // SAFETY: the caller gives a list of `IoAllocateMdl` back.
    drop(unsafe { Box::from_raw(mdl) });
}

/// `MmBuildMdlForNonPagedPool`.
///
/// # Safety
///
/// That of the function.
pub unsafe fn MmBuildMdlForNonPagedPool(_: *mut MDL) {}

/// `MmProbeAndLockPages`.
///
/// # Safety
///
/// That of the function.
pub unsafe fn TryProbeAndLockPages(_: *mut MDL, _: KPROCESSOR_MODE, _: LOCK_OPERATION) -> NTSTATUS {
    STATUS_SUCCESS
}

/// `MmUnlockPages`.
///
/// # Safety
///
/// That of the function.
pub unsafe fn MmUnlockPages(_: *mut MDL) {}

/// `MmGetSystemAddressForMdlSafe`.
///
/// # Safety
///
/// That of the function.
#[must_use]
pub unsafe fn MmGetSystemAddressForMdlSafe(mdl: *mut MDL, _: u32) -> *mut c_void {
    // SAFETY: the caller has the list.
    unsafe { MmGetMdlVirtualAddress(mdl) }
}
