//! Nonpaged pool: the only memory this crate allocates, tagged `Wskr`.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wsk_sys::{ExAllocatePoolWithTag, ExFreePoolWithTag, POOL_TYPE};

use crate::address::Plain;

/// The pool tag, shown as `Wskr` by debuggers and pool tools.
const TAG: u32 = u32::from_le_bytes(*b"Wskr");

/// The alignment of every pool block on 64-bit Windows.
const ALIGNMENT: usize = 16;

/// The layout of a block for a `T`. Does not compile for types that want more alignment than the pool gives.
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
    // INVARIANT: the caller says so.
    drop(Memory(block));
}

/// A block of the pool, with nothing in it that is to be dropped. Freed when this is dropped.
///
/// # Invariants
///
/// The block came from [`allocate`], and nothing uses it but who has this.
struct Memory(NonNull<u8>);

impl Drop for Memory {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is one of the pool, with this tag, that nothing uses any more.
        unsafe { ExFreePoolWithTag(self.0.as_ptr().cast(), TAG) };
    }
}

/// An owner of a value in nonpaged pool, perhaps with room behind it. `Box` for drivers, where allocation can fail. May be dropped at any
/// IRQL up to `DISPATCH_LEVEL`, if the value may be.
///
/// # Invariants
///
/// `block` came from [`allocate`], is this one's alone, begins with a value, and is aligned for it.
pub(crate) struct Owned<T> {
    block: NonNull<T>,
}

/// Room for a value in nonpaged pool. Reserved first, so that nothing can fail once the value is made.
pub(crate) type Room<T> = Owned<MaybeUninit<T>>;

// SAFETY: it is the value's one owner, of memory that is bound to no thread.
unsafe impl<T: Send> Send for Owned<T> {}
// SAFETY: shared, it gives out the value as shared.
unsafe impl<T: Sync> Sync for Owned<T> {}

impl<T> Room<T> {
    /// Allocates the room. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve() -> Option<Self> {
        Self::reserve_with(Layout::new::<()>())
    }

    /// Allocates the room, with more room [behind](Owned::behind) it. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reserve_with(behind: Layout) -> Option<Self> {
        let (layout, _) = layout::<T>().extend(behind).ok()?;
        // INVARIANT: freshly allocated, with that layout; what may be uninitialised is a value.
        Some(Self {
            block: allocate(layout)?.cast(),
        })
    }

    /// Moves a value there.
    #[inline]
    pub(crate) fn fill(mut self, value: T) -> Owned<T> {
        self.write(value);
        // INVARIANT: the value was just written.
        Owned {
            block: self.into_raw().cast(),
        }
    }
}

impl<T> Owned<T> {
    /// Gives the value away, as a pointer that [`from_raw`](Self::from_raw) takes back.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).block
    }

    /// The place of the room behind the value, for as many elements as were [reserved](Room::reserve_with).
    #[inline]
    pub(crate) const fn behind<U>(&self) -> *mut U {
        const { assert!(size_of::<T>().is_multiple_of(align_of::<U>())) };
        self.block.as_ptr().wrapping_add(1).cast()
    }

    /// The place of the value.
    #[inline]
    pub(crate) const fn as_raw(&self) -> NonNull<T> {
        self.block
    }

    /// Takes back what [`into_raw`](Self::into_raw) gave away.
    ///
    /// # Safety
    ///
    /// `block` came from there, of the same type, is taken back once, and used by nobody else any more.
    #[inline]
    pub(crate) const unsafe fn from_raw(block: NonNull<T>) -> Self {
        // INVARIANT: the caller says so.
        Self { block }
    }

    /// Moves the value out, and frees the memory.
    pub(crate) fn into_inner(self) -> T {
        let block = self.into_raw();
        // INVARIANT: the block was this one's alone. Nothing in it is left to drop once the value is moved out.
        let _memory = Memory(block.cast());
        // SAFETY: by the invariant the block begins with a value, which is read this once.
        unsafe { block.read() }
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariant the value is there, and borrowed with this.
        unsafe { self.block.as_ref() }
    }
}

impl<T> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariant the value is this one's alone, and borrowed exclusively with this.
        unsafe { self.block.as_mut() }
    }
}

impl<T> Drop for Owned<T> {
    #[inline]
    fn drop(&mut self) {
        // Freed also when the value's code unwinds.
        // INVARIANT: the block was this one's alone, whose value is gone then.
        let _memory = Memory(self.block.cast());
        // SAFETY: by the invariant the value is there, this one's alone, and used no more.
        unsafe { self.block.drop_in_place() };
    }
}

/// Copies bytes: as many as both slices have. Gives how many.
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

/// Plain values in nonpaged pool, zeros at first and aligned to 16 bytes. Others read and write them by their place.
///
/// # Invariants
///
/// Behind `block` are `count` values; none where there is no block.
pub(crate) struct Values<T: Plain> {
    block: Option<Owned<()>>,
    count: usize,
    values: PhantomData<T>,
}

impl<T: Plain> Values<T> {
    /// Allocates `count` zeros. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn zeroed(count: usize) -> Option<Self> {
        let mut block = None;
        if count > 0 {
            let room = Room::reserve_with(Layout::array::<T>(count).ok()?)?.fill(());
            // SAFETY: there is room for so many.
            unsafe { room.behind::<T>().write_bytes(0, count) };
            block = Some(room);
        }
        // INVARIANT: initialised.
        Some(Self {
            block,
            count,
            values: PhantomData,
        })
    }

    /// The place of the values.
    pub(crate) fn place(&self) -> NonNull<[T]> {
        let first = self
            .block
            .as_ref()
            .and_then(|block| NonNull::new(block.behind()));
        NonNull::slice_from_raw_parts(first.unwrap_or(NonNull::dangling()), self.count)
    }
}

impl<T: Plain> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the invariant they are there, and borrowed with this.
        unsafe { self.place().as_ref() }
    }
}

impl<T: Plain> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; it is borrowed exclusively.
        unsafe { self.place().as_mut() }
    }
}
