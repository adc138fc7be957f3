//! Memory descriptor lists. All memory counts as mapped, at its own address.

use core::ffi::c_void;

use wsk_sys::{
    IRP, KPROCESSOR_MODE, LOCK_OPERATION, MDL, MDL_PAGES_LOCKED, MDL_SOURCE_IS_NONPAGED_POOL,
    MEMORY_CACHING_TYPE, MmGetMdlVirtualAddress, MmInitializeMdl, NTSTATUS, STATUS_SUCCESS,
    WSK_BUF,
};

/// `IoAllocateMdl`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn IoAllocateMdl(
    start: *mut c_void,
    length: u32,
    _: u8,
    _: u8,
    _: *mut IRP,
) -> *mut MDL {
    let mdl = Box::into_raw(Box::<MDL>::new_uninit()).cast::<MDL>();
    // SAFETY: there is room for the list, and every member is initialised.
    unsafe {
        mdl.write_bytes(0, 1);
        MmInitializeMdl(mdl, start, length as usize);
    }
    mdl
}

/// `IoFreeMdl`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn IoFreeMdl(mdl: *mut MDL) {
    // SAFETY: the caller returns a list of `IoAllocateMdl`.
    let flags = unsafe {
        let flags = (*mdl).MdlFlags;
        drop(Box::from_raw(mdl.cast::<core::mem::MaybeUninit<MDL>>()));
        flags
    };
    assert_eq!(flags & MDL_PAGES_LOCKED, 0, "pages are locked");
}

/// `MmBuildMdlForNonPagedPool`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn MmBuildMdlForNonPagedPool(mdl: *mut MDL) {
    // SAFETY: the caller owns the list.
    unsafe {
        (*mdl).MappedSystemVa = MmGetMdlVirtualAddress(mdl);
        (*mdl).MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    }
}

/// `MmProbeAndLockPages`, with a status instead of an exception.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn TryProbeAndLockPages(
    mdl: *mut MDL,
    _: KPROCESSOR_MODE,
    _: LOCK_OPERATION,
) -> NTSTATUS {
    // SAFETY: the caller owns the list.
    unsafe { (*mdl).MdlFlags |= MDL_PAGES_LOCKED };
    STATUS_SUCCESS
}

/// `MmUnlockPages`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn MmUnlockPages(mdl: *mut MDL) {
    // SAFETY: the caller owns the list.
    unsafe {
        assert!((*mdl).MdlFlags & MDL_PAGES_LOCKED != 0, "locked before");
        (*mdl).MdlFlags &= !MDL_PAGES_LOCKED;
    }
}

/// `MmMapLockedPagesSpecifyCache`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn MmMapLockedPagesSpecifyCache(
    mdl: *mut MDL,
    _: KPROCESSOR_MODE,
    _: MEMORY_CACHING_TYPE,
    _: *mut c_void,
    _: u32,
    _: u32,
) -> *mut c_void {
    // SAFETY: the caller owns the list.
    unsafe { MmGetMdlVirtualAddress(mdl) }
}

/// The pieces of memory that a buffer describes, with their lengths.
///
/// # Safety
///
/// The buffer belongs to a request that the provider has.
unsafe fn pieces(buffer: *const WSK_BUF) -> Vec<(*mut u8, usize)> {
    let mut pieces = Vec::new();
    // SAFETY: the caller passes the buffer, whose list has the stated length.
    unsafe {
        let mut mdl = (*buffer).Mdl;
        let (mut skip, mut rest) = ((*buffer).Offset as usize, (*buffer).Length);
        while rest > 0 {
            let length = (((*mdl).ByteCount as usize) - skip).min(rest);
            let start = MmGetMdlVirtualAddress(mdl).cast::<u8>();
            pieces.push((start.wrapping_add(skip), length));
            (skip, rest, mdl) = (0, rest - length, (*mdl).Next);
        }
    }
    pieces
}

/// The bytes of a buffer.
///
/// # Safety
///
/// The buffer belongs to a request that the provider has.
pub(crate) unsafe fn read(buffer: *const WSK_BUF) -> Vec<u8> {
    let mut bytes = Vec::new();
    // SAFETY: the caller passes the buffer.
    for (start, length) in unsafe { pieces(buffer) } {
        // SAFETY: as many bytes are locked there.
        bytes.extend((0..length).map(|index| unsafe { start.add(index).read() }));
    }
    bytes
}

/// Writes as many bytes as fit. Returns their number.
///
/// # Safety
///
/// As for [`read`].
pub(crate) unsafe fn write(buffer: *const WSK_BUF, bytes: &[u8]) -> usize {
    let mut written = 0;
    // SAFETY: the caller passes the buffer.
    for (start, length) in unsafe { pieces(buffer) } {
        let length = length.min(bytes.len() - written);
        // SAFETY: as many bytes are locked there.
        unsafe { start.copy_from_nonoverlapping(bytes[written..].as_ptr(), length) };
        written += length;
    }
    written
}
