//! Memory descriptor lists, and the arithmetic of pages that they rest on.
//! Stands for the `MmGetMdl…` functions and the page macros of `wdm.h`.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::null_mut;

use crate::{
    FALSE, MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PARTIAL_HAS_BEEN_MAPPED, MDL_SOURCE_IS_NONPAGED_POOL,
    MEMORY_CACHING_TYPE, MmMapLockedPagesSpecifyCache, MmUnmapLockedPages, PAGE_SHIFT, PAGE_SIZE,
};

const OFFSET_MASK: usize = PAGE_SIZE as usize - 1;

/// Bytes of the buffer that a list describes.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmgetmdlbytecount).
///
/// # Safety
///
/// `Mdl` points to an initialised list.
#[inline]
#[must_use]
pub const unsafe fn MmGetMdlByteCount(Mdl: *const MDL) -> u32 {
    // SAFETY: the caller's pointer is to an initialised list.
    unsafe { (*Mdl).ByteCount }
}

/// Where in its first page the buffer of a list starts.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmgetmdlbyteoffset).
///
/// # Safety
///
/// `Mdl` points to an initialised list.
#[inline]
#[must_use]
pub const unsafe fn MmGetMdlByteOffset(Mdl: *const MDL) -> u32 {
    // SAFETY: the caller's pointer is to an initialised list.
    unsafe { (*Mdl).ByteOffset }
}

/// Start of the first page of the buffer of a list.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls).
///
/// # Safety
///
/// `Mdl` points to an initialised list.
#[inline]
#[must_use]
pub const unsafe fn MmGetMdlBaseVa(Mdl: *const MDL) -> *mut c_void {
    // SAFETY: the caller's pointer is to an initialised list.
    unsafe { (*Mdl).StartVa }
}

/// Address of the buffer in the process that it belongs to.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmgetmdlvirtualaddress).
///
/// # Safety
///
/// `Mdl` points to an initialised list. The result is an address to compare with; it may be used as a pointer only where
/// the buffer is known to be mapped.
#[inline]
#[must_use]
pub const unsafe fn MmGetMdlVirtualAddress(Mdl: *const MDL) -> *mut c_void {
    // SAFETY: the caller's pointer is to an initialised list.
    unsafe { (*Mdl).StartVa.wrapping_byte_add((*Mdl).ByteOffset as usize) }
}

/// Numbers of the pages, which follow the list.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmgetmdlpfnarray).
///
/// # Safety
///
/// `Mdl` points to a list whose page numbers follow it, and may be used for them too.
#[inline]
#[must_use]
pub const unsafe fn MmGetMdlPfnArray(Mdl: *const MDL) -> *mut usize {
    Mdl.wrapping_add(1).cast_mut().cast()
}

/// Makes a list in the caller's own memory describe a buffer, without its pages yet.
///
/// Some members are left as they are, as in C: `MappedSystemVa` and `Process` have no value until the pages are locked,
/// mapped or built.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mminitializemdl).
///
/// # Safety
///
/// `MemoryDescriptorList` points to memory for `MmSizeOfMdl(BaseVa, Length)` bytes that the caller may write. `Length` fits
/// 32 bits, and the list with its page numbers 32,767 bytes.
#[inline]
pub unsafe fn MmInitializeMdl(MemoryDescriptorList: *mut MDL, BaseVa: *mut c_void, Length: usize) {
    let pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(BaseVa, Length);
    // SAFETY: the caller's memory holds a list. It need not be initialised, so members are written one by one.
    unsafe {
        (&raw mut (*MemoryDescriptorList).Next).write(null_mut());
        (&raw mut (*MemoryDescriptorList).Size)
            .write((size_of::<MDL>() + pages * size_of::<usize>()) as i16);
        (&raw mut (*MemoryDescriptorList).MdlFlags).write(0);
        (&raw mut (*MemoryDescriptorList).StartVa).write(PAGE_ALIGN(BaseVa));
        (&raw mut (*MemoryDescriptorList).ByteOffset).write(BYTE_OFFSET(BaseVa));
        (&raw mut (*MemoryDescriptorList).ByteCount).write(Length as u32);
    }
}

/// Address of the buffer in system space, which maps the pages where that has not been done, or NULL.
///
/// `Priority` is an `MM_PAGE_PRIORITY`, with the `MdlMapping…` flags.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmgetsystemaddressformdlsafe).
///
/// # Safety
///
/// `Mdl` points to a list whose pages are locked or that was built for nonpaged pool, and nobody else maps it meanwhile.
#[inline]
#[must_use]
pub unsafe fn MmGetSystemAddressForMdlSafe(Mdl: *mut MDL, Priority: u32) -> *mut c_void {
    // SAFETY: the caller's list is initialised; if it is not mapped yet, its pages are locked, as mapping requires.
    unsafe {
        if (*Mdl).MdlFlags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA) != 0 {
            return (*Mdl).MappedSystemVa;
        }
        MmMapLockedPagesSpecifyCache(
            Mdl,
            KERNEL_MODE,
            MEMORY_CACHING_TYPE::MmCached,
            null_mut(),
            FALSE,
            Priority,
        )
    }
}

/// `MODE::KernelMode` as the single byte that functions take.
const KERNEL_MODE: crate::KPROCESSOR_MODE = crate::MODE::KernelMode.0 as crate::KPROCESSOR_MODE;

/// Takes back what a partial list holds, so that it can be built anew.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmpreparemdlforreuse).
///
/// # Safety
///
/// `Mdl` points to a partial list that the caller owns. Its mapping, if it has one, is not used afterwards.
#[inline]
pub unsafe fn MmPrepareMdlForReuse(Mdl: *mut MDL) {
    // SAFETY: the caller owns the list; a mapping that the flag speaks of is at `MappedSystemVa`.
    unsafe {
        if (*Mdl).MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED != 0 {
            MmUnmapLockedPages((*Mdl).MappedSystemVa, Mdl);
        }
    }
}

/// Offset of an address in its page.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-byte_offset).
#[inline]
#[must_use]
pub fn BYTE_OFFSET(Address: *const c_void) -> u32 {
    (Address.addr() & OFFSET_MASK) as u32
}

/// First address of the page that an address lies in.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-page_align).
#[inline]
#[must_use]
pub fn PAGE_ALIGN(Address: *mut c_void) -> *mut c_void {
    Address.map_addr(|address| address & !OFFSET_MASK)
}

/// Number of pages that a range of memory touches.
///
/// Wraps as in C where the range is longer than the address space.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-address_and_size_to_span_pages).
#[inline]
#[must_use]
pub fn ADDRESS_AND_SIZE_TO_SPAN_PAGES(Address: *const c_void, Size: usize) -> usize {
    (BYTE_OFFSET(Address) as usize)
        .wrapping_add(Size)
        .wrapping_add(OFFSET_MASK)
        >> PAGE_SHIFT
}

/// Number of pages that hold this many bytes.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-bytes_to_pages).
#[inline]
#[must_use]
pub const fn BYTES_TO_PAGES(Size: usize) -> usize {
    (Size >> PAGE_SHIFT) + (Size & OFFSET_MASK != 0) as usize
}

/// Rounds a number of bytes up to whole pages.
///
/// Wraps to zero, as in C, in the last page of the address space.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-round_to_pages).
#[inline]
#[must_use]
pub const fn ROUND_TO_PAGES(Size: usize) -> usize {
    Size.wrapping_add(OFFSET_MASK) & !OFFSET_MASK
}
