//! Bits of memory by number, atomically and not. Stands for the `BitTest…` functions of `wdm.h`, which are instructions.
//!
//! Bit 0 is the lowest of the first number; bits behind its last lie in the numbers after it, and negative ones before.

use core::sync::atomic::{AtomicI32, AtomicI64, Ordering};

/// Returns whether a bit is set.
///
/// IRQL: any. Header: `wdm.h`.
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, may be read.
#[inline]
#[must_use]
pub unsafe fn BitTest(Base: *const i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number may be read.
    let number = unsafe { Base.offset((Bit >> 5) as isize).read() };
    number >> (Bit & 31) & 1 != 0
}

/// Sets a bit and returns whether it was set.
///
/// IRQL: any. Header: `wdm.h`.
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, may be read and written.
#[inline]
pub unsafe fn BitTestAndSet(Base: *mut i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number may be read and written.
    unsafe {
        let number = Base.offset((Bit >> 5) as isize);
        let (mask, number, place) = (1 << (Bit & 31), number.read(), number);
        place.write(number | mask);
        number & mask != 0
    }
}

/// Clears a bit and returns whether it was set.
///
/// IRQL: any. Header: `wdm.h`.
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, may be read and written.
#[inline]
pub unsafe fn BitTestAndReset(Base: *mut i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number may be read and written.
    unsafe {
        let number = Base.offset((Bit >> 5) as isize);
        let (mask, number, place) = (1 << (Bit & 31), number.read(), number);
        place.write(number & !mask);
        number & mask != 0
    }
}

/// Flips a bit and returns whether it was set.
///
/// IRQL: any. Header: `wdm.h`.
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, may be read and written.
#[inline]
pub unsafe fn BitTestAndComplement(Base: *mut i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number may be read and written.
    unsafe {
        let number = Base.offset((Bit >> 5) as isize);
        let (mask, number, place) = (1 << (Bit & 31), number.read(), number);
        place.write(number ^ mask);
        number & mask != 0
    }
}

/// Sets a bit and returns whether it was set, atomically, as a full barrier.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, is aligned and stays valid during the call, and others access it only
/// atomically meanwhile.
#[inline]
pub unsafe fn InterlockedBitTestAndSet(Base: *mut i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number is aligned and valid, and every concurrent access is atomic.
    let number = unsafe { AtomicI32::from_ptr(Base.offset((Bit >> 5) as isize)) };
    let mask = 1 << (Bit & 31);
    number.fetch_or(mask, Ordering::SeqCst) & mask != 0
}

/// Clears a bit and returns whether it was set, atomically, as a full barrier.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, is aligned and stays valid during the call, and others access it only
/// atomically meanwhile.
#[inline]
pub unsafe fn InterlockedBitTestAndReset(Base: *mut i32, Bit: i32) -> bool {
    // SAFETY: the caller says that the number is aligned and valid, and every concurrent access is atomic.
    let number = unsafe { AtomicI32::from_ptr(Base.offset((Bit >> 5) as isize)) };
    let mask = 1 << (Bit & 31);
    number.fetch_and(!mask, Ordering::SeqCst) & mask != 0
}

/// Sets a bit and returns whether it was set, atomically, as a full barrier.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, is aligned and stays valid during the call, and others access it only
/// atomically meanwhile.
#[inline]
pub unsafe fn InterlockedBitTestAndSet64(Base: *mut i64, Bit: i64) -> bool {
    // SAFETY: the caller says that the number is aligned and valid, and every concurrent access is atomic.
    let number = unsafe { AtomicI64::from_ptr(Base.offset((Bit >> 6) as isize)) };
    let mask = 1 << (Bit & 63);
    number.fetch_or(mask, Ordering::SeqCst) & mask != 0
}

/// Clears a bit and returns whether it was set, atomically, as a full barrier.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
///
/// # Safety
///
/// The number that the bit lies in, counted from `Base`, is aligned and stays valid during the call, and others access it only
/// atomically meanwhile.
#[inline]
pub unsafe fn InterlockedBitTestAndReset64(Base: *mut i64, Bit: i64) -> bool {
    // SAFETY: the caller says that the number is aligned and valid, and every concurrent access is atomic.
    let number = unsafe { AtomicI64::from_ptr(Base.offset((Bit >> 6) as isize)) };
    let mask = 1 << (Bit & 63);
    number.fetch_and(!mask, Ordering::SeqCst) & mask != 0
}
