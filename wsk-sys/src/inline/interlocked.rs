//! Atomic operations on numbers and on pointers, each a full barrier unless its name says otherwise. Stands for the
//! `Interlocked…` functions of `wdm.h`, which are instructions. Rust code that owns its data uses `core::sync::atomic`; these are
//! for shared C memory.

use core::ffi::c_void;
use core::sync::atomic::{AtomicI16, AtomicI32, AtomicI64, AtomicPtr, Ordering};

/// Adds one and gives the new value; the largest number is followed by the smallest.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedincrement).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedIncrement(Target: *mut i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.fetch_add(1, Ordering::SeqCst).wrapping_add(1)
}

/// Takes one away and gives the new value; the smallest number is followed by the largest.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockeddecrement).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedDecrement(Target: *mut i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.fetch_sub(1, Ordering::SeqCst).wrapping_sub(1)
}

/// Adds a number and gives the old value; the sum wraps.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedexchangeadd).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedExchangeAdd(Target: *mut i32, Value: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.fetch_add(Value, Ordering::SeqCst)
}

/// Adds a number and gives the new value; the sum wraps.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedAdd(Target: *mut i32, Value: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target
        .fetch_add(Value, Ordering::SeqCst)
        .wrapping_add(Value)
}

/// Sets a value and gives the old one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedexchange).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedExchange(Target: *mut i32, Value: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.swap(Value, Ordering::SeqCst)
}

/// Sets a value if the old one is as expected, and gives the old one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedcompareexchange).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedCompareExchange(Target: *mut i32, Value: i32, Expected: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    match target.compare_exchange(Expected, Value, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(old) | Err(old) => old,
    }
}

/// Sets bits and gives the old value.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedor).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedOr(Target: *mut i32, Value: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.fetch_or(Value, Ordering::SeqCst)
}

/// Clears the bits that are not given and gives the old value.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedand).
///
/// # Safety
///
/// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedAnd(Target: *mut i32, Value: i32) -> i32 {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicI32::from_ptr(Target) };
    target.fetch_and(Value, Ordering::SeqCst)
}

/// Sets a pointer and gives the old one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedexchangepointer).
///
/// # Safety
///
/// `Target` points to an aligned pointer that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedExchangePointer(
    Target: *mut *mut c_void,
    Value: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicPtr::from_ptr(Target) };
    target.swap(Value, Ordering::SeqCst)
}

/// Sets a pointer if the old one is as expected, and gives the old one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedcompareexchangepointer).
///
/// # Safety
///
/// `Target` points to an aligned pointer that stays valid during the call, and that others access only atomically meanwhile.
#[inline]
pub unsafe fn InterlockedCompareExchangePointer(
    Target: *mut *mut c_void,
    Value: *mut c_void,
    Expected: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
    let target = unsafe { AtomicPtr::from_ptr(Target) };
    match target.compare_exchange(Expected, Value, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(old) | Err(old) => old,
    }
}

/// Writes the same functions for numbers of other widths.
macro_rules! interlocked {
    ($($(#[doc = $doc:literal])+ fn $name:ident($target:ident: $atomic:ident of $ty:ty $(, $argument:ident: $argument_ty:ty)*) -> $value:expr;)*) => {$(
        $(#[doc = $doc])+
        ///
        /// IRQL: any. Header: `wdm.h`.
        /// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interlocked-operations).
        ///
        /// # Safety
        ///
        /// `Target` points to an aligned number that stays valid during the call, and that others access only atomically meanwhile.
        #[inline]
        pub unsafe fn $name(Target: *mut $ty $(, $argument: $argument_ty)*) -> $ty {
            // SAFETY: the caller's pointer is aligned and valid, and every concurrent access is atomic.
            let $target = unsafe { $atomic::from_ptr(Target) };
            $value
        }
    )*};
}

interlocked! {
    /// Adds one and gives the new value; the largest number is followed by the smallest.
    fn InterlockedIncrement64(target: AtomicI64 of i64) -> target.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
    /// Takes one away and gives the new value; the smallest number is followed by the largest.
    fn InterlockedDecrement64(target: AtomicI64 of i64) -> target.fetch_sub(1, Ordering::SeqCst).wrapping_sub(1);
    /// Adds a number and gives the old value; the sum wraps.
    fn InterlockedExchangeAdd64(target: AtomicI64 of i64, Value: i64) -> target.fetch_add(Value, Ordering::SeqCst);
    /// Adds a number and gives the new value; the sum wraps.
    fn InterlockedAdd64(target: AtomicI64 of i64, Value: i64) -> target.fetch_add(Value, Ordering::SeqCst).wrapping_add(Value);
    /// Sets a value and gives the old one.
    fn InterlockedExchange64(target: AtomicI64 of i64, Value: i64) -> target.swap(Value, Ordering::SeqCst);
    /// Sets a value if the old one is as expected, and gives the old one.
    fn InterlockedCompareExchange64(target: AtomicI64 of i64, Value: i64, Expected: i64) -> match target.compare_exchange(Expected, Value, Ordering::SeqCst, Ordering::SeqCst) { Ok(old) | Err(old) => old };
    /// Sets bits and gives the old value.
    fn InterlockedOr64(target: AtomicI64 of i64, Value: i64) -> target.fetch_or(Value, Ordering::SeqCst);
    /// Clears the bits that are not given and gives the old value.
    fn InterlockedAnd64(target: AtomicI64 of i64, Value: i64) -> target.fetch_and(Value, Ordering::SeqCst);
    /// Flips bits and gives the old value.
    fn InterlockedXor64(target: AtomicI64 of i64, Value: i64) -> target.fetch_xor(Value, Ordering::SeqCst);
    /// Flips bits and gives the old value.
    fn InterlockedXor(target: AtomicI32 of i32, Value: i32) -> target.fetch_xor(Value, Ordering::SeqCst);
    /// Adds one and gives the new value; the largest number is followed by the smallest.
    fn InterlockedIncrement16(target: AtomicI16 of i16) -> target.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
    /// Takes one away and gives the new value; the smallest number is followed by the largest.
    fn InterlockedDecrement16(target: AtomicI16 of i16) -> target.fetch_sub(1, Ordering::SeqCst).wrapping_sub(1);
    /// Sets a value if the old one is as expected, and gives the old one.
    fn InterlockedCompareExchange16(target: AtomicI16 of i16, Value: i16, Expected: i16) -> match target.compare_exchange(Expected, Value, Ordering::SeqCst, Ordering::SeqCst) { Ok(old) | Err(old) => old };
    /// Adds one and gives the new value; the largest number is followed by the smallest.
    fn InterlockedIncrementNoFence(target: AtomicI32 of i32) -> target.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    /// Takes one away and gives the new value; the smallest number is followed by the largest.
    fn InterlockedDecrementNoFence(target: AtomicI32 of i32) -> target.fetch_sub(1, Ordering::Relaxed).wrapping_sub(1);
    /// Adds one and gives the new value; the largest number is followed by the smallest.
    fn InterlockedIncrementNoFence64(target: AtomicI64 of i64) -> target.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    /// Takes one away and gives the new value; the smallest number is followed by the largest.
    fn InterlockedDecrementNoFence64(target: AtomicI64 of i64) -> target.fetch_sub(1, Ordering::Relaxed).wrapping_sub(1);
    /// Adds a number and gives the old value; the sum wraps. It is no barrier.
    fn InterlockedExchangeAddNoFence(target: AtomicI32 of i32, Value: i32) -> target.fetch_add(Value, Ordering::Relaxed);
    /// Adds a number and gives the old value; the sum wraps. It is no barrier.
    fn InterlockedExchangeAddNoFence64(target: AtomicI64 of i64, Value: i64) -> target.fetch_add(Value, Ordering::Relaxed);
}
