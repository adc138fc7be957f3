//! Nonpaged pool: the only memory this crate allocates, tagged `Wskr`.

use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wsk_sys::{ExAllocatePoolWithTag, ExFreePoolWithTag, POOL_TYPE};

/// The pool tag, shown as `Wskr` by debuggers and pool tools.
const TAG: u32 = u32::from_le_bytes(*b"Wskr");

/// The alignment of every pool block on 64-bit Windows.
const ALIGNMENT: usize = 16;

/// The layout of a block for a `T`, which does not compile for types that the pool's blocks are not aligned for.
pub(crate) const fn layout<T>() -> Layout {
    const {
        assert!(
            align_of::<T>() <= ALIGNMENT,
            "pool blocks are aligned to 16 bytes, no more"
        );
    };
    Layout::new::<T>()
}

/// Allocates uninitialised nonpaged, non-executable memory. IRQL: `<= DISPATCH_LEVEL`.
///
/// `None` when there is none, when `layout` has no size, or when it wants more alignment than the pool gives.
pub(crate) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() == 0 || layout.align() > ALIGNMENT {
        return None;
    }
    // `ExAllocatePoolWithTag` because it is on every supported Windows: `ExAllocatePool2` came with 10.0.19041.
    // SAFETY: the size is not zero, and nonpaged pool may be allocated at up to DISPATCH_LEVEL, which is as high as this
    // crate's functions may be called.
    let block = unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, layout.size(), TAG) };
    NonNull::new(block.cast())
}

/// Gives a block back. IRQL: `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// `block` came from [`allocate`], was not freed since, and nothing uses it any more.
pub(crate) unsafe fn free(block: NonNull<u8>) {
    // SAFETY: the caller passes a block of `allocate`, which has this tag, once, and nothing uses it.
    unsafe { ExFreePoolWithTag(block.as_ptr().cast(), TAG) };
}

/// Copies as many bytes as there are in both; how many.
#[inline]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    // SAFETY: both are that long, and what is borrowed exclusively does not overlap the other.
    unsafe {
        to.as_mut_ptr()
            .copy_from_nonoverlapping(from.as_ptr(), length);
    }
    length
}

/// Types of which any bytes are a value.
///
/// # Safety
///
/// So it is.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}

/// Plain values in nonpaged pool, aligned to 16 bytes, zeros at first: for others to read and write, by their place.
///
/// # Invariants
///
/// `values` are initialised, in a pool block that nobody else has, or none.
pub(crate) struct Values<T: Plain> {
    values: NonNull<[T]>,
}

// SAFETY: the block is memory that this value alone has, bound to no thread.
unsafe impl<T: Plain + Send> Send for Values<T> {}
// SAFETY: through `&Values` the block is only read.
unsafe impl<T: Plain + Sync> Sync for Values<T> {}

impl<T: Plain> Values<T> {
    /// So many zeros. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn zeroed(count: usize) -> Option<Self> {
        let first = if count == 0 {
            NonNull::dangling()
        } else {
            let first = allocate(Layout::array::<T>(count).ok()?)?.cast::<T>();
            // SAFETY: the block has just been allocated for so many.
            unsafe { first.write_bytes(0, count) };
            first
        };
        // INVARIANT: initialised, and ours alone.
        Some(Self {
            values: NonNull::slice_from_raw_parts(first, count),
        })
    }

    /// Where they are.
    pub(crate) const fn place(&self) -> NonNull<[T]> {
        self.values
    }
}

impl<T: Plain> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the invariant they are there, and this one's.
        unsafe { self.values.as_ref() }
    }
}

impl<T: Plain> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; it is borrowed exclusively.
        unsafe { self.values.as_mut() }
    }
}

impl<T: Plain> Drop for Values<T> {
    fn drop(&mut self) {
        if !self.values.is_empty() {
            // SAFETY: there are some, so the block came from `allocate`, and is freed once.
            unsafe { free(self.values.cast()) };
        }
    }
}
