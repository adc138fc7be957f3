//! Copying, filling and comparing memory, and reversing the bytes of numbers. Stands for the `Rtl…` macros of `wdm.h` that
//! are instructions or functions of every compiler.

use core::ffi::c_void;

/// Copies memory that does not overlap.
///
/// IRQL: any, for memory that is present. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlcopymemory).
///
/// # Safety
///
/// `Length` bytes may be read at `Source` and written at `Destination`, and the two ranges do not overlap.
#[inline]
pub unsafe fn RtlCopyMemory(Destination: *mut c_void, Source: *const c_void, Length: usize) {
    // SAFETY: the caller says that so many bytes may be read and written, and do not overlap.
    unsafe {
        Source
            .cast::<u8>()
            .copy_to_nonoverlapping(Destination.cast(), Length);
    }
}

/// Copies memory that may overlap.
///
/// IRQL: any, for memory that is present. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlmovememory).
///
/// # Safety
///
/// `Length` bytes may be read at `Source` and written at `Destination`.
#[inline]
pub unsafe fn RtlMoveMemory(Destination: *mut c_void, Source: *const c_void, Length: usize) {
    // SAFETY: the caller says that so many bytes may be read and written; they may overlap.
    unsafe { Source.cast::<u8>().copy_to(Destination.cast(), Length) }
}

/// Fills memory with a byte.
///
/// IRQL: any, for memory that is present. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlfillmemory).
///
/// # Safety
///
/// `Length` bytes may be written at `Destination`.
#[inline]
pub unsafe fn RtlFillMemory(Destination: *mut c_void, Length: usize, Fill: u8) {
    // SAFETY: the caller says that so many bytes may be written.
    unsafe { Destination.cast::<u8>().write_bytes(Fill, Length) }
}

/// Fills memory with zeroes.
///
/// IRQL: any, for memory that is present. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlzeromemory).
///
/// # Safety
///
/// `Length` bytes may be written at `Destination`.
#[inline]
pub unsafe fn RtlZeroMemory(Destination: *mut c_void, Length: usize) {
    // SAFETY: the caller says that so many bytes may be written.
    unsafe { Destination.cast::<u8>().write_bytes(0, Length) }
}

/// Whether two ranges of memory are the same.
///
/// IRQL: any, for memory that is present. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlequalmemory).
///
/// # Safety
///
/// `Length` initialised bytes may be read at both places.
#[inline]
#[must_use]
pub unsafe fn RtlEqualMemory(Left: *const c_void, Right: *const c_void, Length: usize) -> bool {
    // SAFETY: the caller promises that as many initialised bytes may be read at both. A length of zero may come with pointers
    // that are not valid for a slice, so it is handled before.
    Length == 0
        || unsafe {
            core::slice::from_raw_parts(Left.cast::<u8>(), Length)
                == core::slice::from_raw_parts(Right.cast(), Length)
        }
}

/// Reverses the bytes of a 16-bit number, as between host and network order.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlushortbyteswap).
#[inline]
#[must_use]
pub const fn RtlUshortByteSwap(Value: u16) -> u16 {
    Value.swap_bytes()
}

/// Reverses the bytes of a 32-bit number, as between host and network order.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlulongbyteswap).
#[inline]
#[must_use]
pub const fn RtlUlongByteSwap(Value: u32) -> u32 {
    Value.swap_bytes()
}

/// Reverses the bytes of a 64-bit number, as between host and network order.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlulonglongbyteswap).
#[inline]
#[must_use]
pub const fn RtlUlonglongByteSwap(Value: u64) -> u64 {
    Value.swap_bytes()
}
