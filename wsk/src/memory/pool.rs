//! Nonpaged pool: the only memory this crate allocates, tagged `Wskr`.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wsk_sys::{ExAllocatePoolWithTag, ExFreePoolWithTag, POOL_TYPE};

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

/// What a [`Row`] begins with.
pub(crate) trait Head {
    /// Whether the row was left to others for ever. Then it is neither dropped nor freed.
    #[inline]
    fn is_left(&self) -> bool {
        false
    }
}

impl Head for () {}

/// A head in nonpaged pool, and behind it in the same block values, of which there is room for a fixed number. Dropped as an [`Owned`]: first
/// the values, then the head.
///
/// # Invariants
///
/// Behind the front is room for `capacity` values, all of whose bytes are initialised where `T` is plain. The first `length` are values. All
/// of it is this one's alone.
pub(crate) struct Row<H: Head, T> {
    front: ManuallyDrop<Owned<Front<H>>>,
    values: PhantomData<T>,
}

/// The head of a row, and how many values are behind it.
#[repr(C, align(16))]
struct Front<H> {
    head: H,
    length: usize,
    capacity: usize,
}

// SAFETY: it is the one owner of head and values, in memory that is bound to no thread.
unsafe impl<H: Head + Send, T: Send> Send for Row<H, T> {}
// SAFETY: shared, it gives out head and values as shared.
unsafe impl<H: Head + Sync, T: Sync> Sync for Row<H, T> {}

impl<H: Head, T> Row<H, T> {
    /// A row without values that has room for `capacity`. IRQL: `<= DISPATCH_LEVEL`. Does not compile for values that want more alignment
    /// than the pool gives.
    pub(crate) fn with_capacity(head: H, capacity: usize) -> Option<Self> {
        let _ = layout::<T>();
        let room = Room::<Front<H>>::reserve_with(Layout::array::<T>(capacity).ok()?)?;
        // SAFETY: there is room for so many values.
        unsafe { room.behind::<T>().write_bytes(0, capacity) };
        // INVARIANT: zeros, and no values.
        Some(Self {
            front: ManuallyDrop::new(room.fill(Front {
                head,
                length: 0,
                capacity,
            })),
            values: PhantomData,
        })
    }

    /// The number of values that there is room for.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.front.capacity
    }

    /// The place of the values. It stays the same, and others may use it while this side borrows no values.
    #[inline]
    pub(crate) fn place(&self) -> NonNull<[T]> {
        // SAFETY: what is behind the front is in its block, or where that ends.
        let first = unsafe { self.front.as_raw().add(1) };
        NonNull::slice_from_raw_parts(first.cast(), self.front.length)
    }

    /// The values.
    #[inline]
    pub(crate) fn values(&self) -> &[T] {
        // SAFETY: by the invariant so many are initialised, and borrowed with this.
        unsafe { self.place().as_ref() }
    }

    /// The values, to be written. The head is not borrowed for it: others may use that meanwhile.
    #[inline]
    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `values`; they are this one's alone, which is borrowed exclusively.
        unsafe { self.place().as_mut() }
    }

    /// Adds a value at the end, or gives it back when there is no room.
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        let length = self.front.length;
        if length == self.front.capacity {
            return Err(value);
        }
        // SAFETY: by the invariant there is room for one more.
        unsafe { self.place().cast::<T>().add(length).write(value) };
        // INVARIANT: one more is initialised.
        self.front.length = length + 1;
        Ok(())
    }

    /// Takes the last value out.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.front.length.checked_sub(1)?;
        // INVARIANT: one less is initialised.
        self.front.length = last;
        // SAFETY: by the invariant the value was, and no longer counts as that.
        Some(unsafe { self.place().cast::<T>().add(last).read() })
    }
}

impl<H: Head, T: Plain> Row<H, T> {
    /// A row of so many zeros. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn zeroed(head: H, count: usize) -> Option<Self> {
        let mut row = Self::with_capacity(head, count)?;
        row.set_length(count);
        Some(row)
    }

    /// Has so many of the numbers that there is room for be the values, or all of them. They do not change.
    pub(crate) fn set_length(&mut self, length: usize) {
        // INVARIANT: any initialised bytes are a value of plain types.
        self.front.length = length.min(self.front.capacity);
    }
}

impl<H: Head, T> Deref for Row<H, T> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        &self.front.head
    }
}

impl<H: Head, T> DerefMut for Row<H, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut H {
        &mut self.front.head
    }
}

impl<H: Head, T> Drop for Row<H, T> {
    fn drop(&mut self) {
        if self.front.head.is_left() {
            return;
        }
        let values = self.place();
        // SAFETY: by the invariant front and values are this one's alone, which is gone after this. The front goes last, also when a value's
        // code unwinds.
        unsafe {
            let _front = ManuallyDrop::take(&mut self.front);
            values.drop_in_place();
        }
    }
}

/// A number.
///
/// # Safety
///
/// Any initialised bytes are a value of it. It has no padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: a number.
unsafe impl Plain for u8 {}
// SAFETY: a number.
unsafe impl Plain for u16 {}

/// Numbers in nonpaged pool, aligned to 16 bytes, zeros at first: for others to read and write, by their place. No numbers need no memory.
pub(crate) struct Values<T: Plain>(Option<Row<(), T>>);

impl<T: Plain> Values<T> {
    /// So many zeros. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn zeroed(count: usize) -> Option<Self> {
        if count == 0 {
            return Some(Self(None));
        }
        Row::zeroed((), count).map(|row| Self(Some(row)))
    }

    /// Where they are.
    pub(crate) fn place(&self) -> NonNull<[T]> {
        let none = NonNull::from(&[]);
        self.0.as_ref().map_or(none, Row::place)
    }
}

impl<T: Plain> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], Row::values)
    }
}

impl<T: Plain> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], Row::values_mut)
    }
}
