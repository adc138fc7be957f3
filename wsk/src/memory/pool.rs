//! Nonpaged pool, the only memory this crate allocates, tagged `Wskr`. And who owns a value: one ([`Owned`]; [`Row`] for several values),
//! several ([`Shared`], an `Arc` for drivers, where allocation can fail and no allocator is installed), or one for whom others use it
//! ([`Rundown`], which stands for rundown protection, `EX_RUNDOWN_REF`).

use core::alloc::Layout;
use core::any::TypeId;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::num::NonZero;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wsk_sys::{ExAllocatePoolWithTag, ExFreePoolWithTag, POOL_TYPE};

use crate::irql::MayWait;
use crate::memory::atomic::{AtomicPtr, AtomicUsize, Cell, Ordering, fence};
use crate::system::Event;

/// The pool tag, shown as `Wskr` by debuggers and pool tools.
const TAG: u32 = u32::from_le_bytes(*b"Wskr");

/// The alignment of every pool block on 64-bit Windows.
const POOL_ALIGNMENT: usize = 16;

/// The layout of a block for a `T`. Does not compile for types that want more alignment than the pool gives.
pub(crate) const fn layout<T>() -> Layout {
    const {
        assert!(
            align_of::<T>() <= POOL_ALIGNMENT,
            "pool blocks are aligned to 16 bytes, no more"
        );
    };
    Layout::new::<T>()
}

/// Allocates uninitialised nonpaged, non-executable memory. IRQL: `<= DISPATCH_LEVEL`.
///
/// `None` when there is none, when `layout` has no size, or when it wants more alignment than the pool gives.
pub(crate) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if layout.align() > POOL_ALIGNMENT {
        return None;
    }
    allocate_bytes(NonZero::new(layout.size())?)
}

/// As [`allocate`], with the alignment of every block of the pool. Out of line, because a driver allocates in many places.
#[inline(never)]
pub(crate) fn allocate_bytes(size: NonZero<usize>) -> Option<NonNull<u8>> {
    // `ExAllocatePoolWithTag` because it is on every supported Windows: `ExAllocatePool2` came with 10.0.19041.
    // SAFETY: the size is not zero, and nonpaged pool may be allocated at up to DISPATCH_LEVEL, which is as high as this
    // crate's functions may be called.
    let block = unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, size.get(), TAG) };
    NonNull::new(block.cast())
}

/// Gives a block back. IRQL: `<= DISPATCH_LEVEL`.
///
/// # Safety
///
/// `block` came from [`allocate`], was not freed since, and nothing uses it any more.
pub(crate) unsafe fn free(block: NonNull<u8>) {
    // INVARIANT: the caller says so.
    drop(PoolBlock(block));
}

/// A block of the pool, with nothing in it that is to be dropped. Freed when this is dropped.
///
/// # Invariants
///
/// The block came from [`allocate`], and nothing uses it but who has this.
struct PoolBlock(NonNull<u8>);

impl Drop for PoolBlock {
    #[inline]
    fn drop(&mut self) {
        // INVARIANT: that of this value, which is dropped.
        Freed(self.0).free();
    }
}

/// A block of the pool that is freed now.
///
/// # Invariants
///
/// As for [`PoolBlock`]; nobody has it any more.
struct Freed(NonNull<u8>);

impl Freed {
    /// Frees the block. Out of line, because a driver frees in many places.
    #[inline(never)]
    fn free(self) {
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
pub(crate) type Uninit<T> = Owned<MaybeUninit<T>>;

// SAFETY: it is the value's one owner, of memory that is bound to no thread.
unsafe impl<T: Send> Send for Owned<T> {}
// SAFETY: shared, it gives out the value as shared.
unsafe impl<T: Sync> Sync for Owned<T> {}

impl<T> Uninit<T> {
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

    /// The place of the room behind the value, for as many elements as were [reserved](Uninit::reserve_with).
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
        let _memory = PoolBlock(block.cast());
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
        let _memory = PoolBlock(self.block.cast());
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

/// The head of a [`Row`].
pub(crate) trait RowHead {
    /// Whether the row was left to others for ever. Then it is neither dropped nor freed.
    #[inline]
    fn is_left(&self) -> bool {
        false
    }
}

impl RowHead for () {}

/// A head in nonpaged pool, and behind it in the same block values, of which there is room for a fixed number. Dropped as an [`Owned`]: first
/// the values, then the head.
///
/// # Invariants
///
/// Behind the front is room for `capacity` values, all of whose bytes are initialised where `T` is plain. The first `length` are values. All
/// of it is this one's alone.
pub(crate) struct Row<H: RowHead, T> {
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
unsafe impl<H: RowHead + Send, T: Send> Send for Row<H, T> {}
// SAFETY: shared, it gives out head and values as shared.
unsafe impl<H: RowHead + Sync, T: Sync> Sync for Row<H, T> {}

impl<H: RowHead, T> Row<H, T> {
    /// A row without values that has room for `capacity`. IRQL: `<= DISPATCH_LEVEL`. Does not compile for values that want more alignment
    /// than the pool gives.
    pub(crate) fn with_capacity(head: H, capacity: usize) -> Option<Self> {
        let _ = layout::<T>();
        let room = Uninit::<Front<H>>::reserve_with(Layout::array::<T>(capacity).ok()?)?;
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

impl<H: RowHead, T: Number> Row<H, T> {
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

impl<H: RowHead, T> Deref for Row<H, T> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        &self.front.head
    }
}

impl<H: RowHead, T> DerefMut for Row<H, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut H {
        &mut self.front.head
    }
}

impl<H: RowHead, T> Drop for Row<H, T> {
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
pub(crate) unsafe trait Number: Copy {}

// SAFETY: a number.
unsafe impl Number for u8 {}
// SAFETY: a number.
unsafe impl Number for u16 {}

/// Numbers in nonpaged pool, aligned to 16 bytes, zeros at first: for others to read and write, by their place. No numbers need no memory.
pub(crate) struct Values<T: Number>(Option<Row<(), T>>);

impl<T: Number> Values<T> {
    /// So many zeros. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn zeroed(count: usize) -> Option<Self> {
        if count == 0 {
            return Some(Self(None));
        }
        Row::zeroed((), count).map(|row| Self(Some(row)))
    }

    /// The place of the numbers.
    pub(crate) fn place(&self) -> NonNull<[T]> {
        let none = NonNull::from(&[]);
        self.0.as_ref().map_or(none, Row::place)
    }
}

impl<T: Number> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], Row::values)
    }
}

impl<T: Number> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], Row::values_mut)
    }
}

/// A type whose values can be shared.
///
/// # Safety
///
/// Dropping the value does nothing with what [`last`](Self::last) gives.
pub unsafe trait Counted {
    /// The type of the part that outlives the value's memory.
    type Last;

    /// The part to be dropped last, if there is one: after the value was dropped and its memory was freed.
    fn last(&mut self) -> Option<&mut ManuallyDrop<Self::Last>> {
        None
    }
}

/// A value that is dropped last: after the memory was freed that it was shared in.
pub(crate) struct Last<T>(ManuallyDrop<T>);

impl<T> Last<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    /// The value, which was not shared.
    pub(crate) fn into_inner(self) -> T {
        ManuallyDrop::into_inner(self.0)
    }
}

impl<T> Deref for Last<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: dropping it does nothing.
unsafe impl<T> Counted for Last<T> {
    type Last = T;

    fn last(&mut self) -> Option<&mut ManuallyDrop<T>> {
        Some(&mut self.0)
    }
}

/// A pointer to a value that stays where it is.
///
/// # Invariants
///
/// The value is there, and only ever borrowed shared, as long as this or a copy of it is used.
pub(crate) struct Pinned<T>(NonNull<T>);

impl<T> Clone for Pinned<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pinned<T> {}

impl<T> Pinned<T> {
    /// A pointer to the value at this place.
    ///
    /// # Safety
    ///
    /// The value is there, and only borrowed shared, as long as the result or a copy of it is used.
    #[inline]
    pub(crate) const unsafe fn new(place: NonNull<T>) -> Self {
        // INVARIANT: the caller says so.
        Self(place)
    }

    /// The place of the value.
    #[inline]
    pub(crate) const fn as_raw(self) -> NonNull<T> {
        self.0
    }

    /// The value, which callers borrow no longer than they use the pointer.
    #[inline]
    const fn get<'p>(self) -> &'p T {
        // SAFETY: by the invariant the value is there, and only borrowed shared.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.get()
    }
}

/// The pool block behind a [`Shared`].
struct SharedBlock<T> {
    references: AtomicUsize,
    value: T,
}

/// A reference to a value in nonpaged pool, dropped and freed with the last reference.
///
/// # Invariants
///
/// `block` was given away by its owner, and each `Shared` accounts for one of its `references`.
pub struct Shared<T: Counted> {
    block: Pinned<SharedBlock<T>>,
}

// SAFETY: a `Shared` gives out `&T` and drops the `T` on whichever thread is last, as `Arc` does under the same bounds.
unsafe impl<T: Counted + Send + Sync> Send for Shared<T> {}
// SAFETY: from a `&Shared` another thread can make a `Shared` of its own, which the bounds of `Send` allow it to have.
unsafe impl<T: Counted + Send + Sync> Sync for Shared<T> {}

impl<T: Counted> Shared<T> {
    /// Moves `value` into nonpaged pool, or gives it back when there is none.
    pub(crate) fn new(value: T) -> Result<Self, T> {
        match Reserved::new() {
            Some(reserved) => Ok(reserved.fill(value)),
            None => Err(value),
        }
    }

    /// Turns the reference into a pointer that [`from_raw`](Self::from_raw) turns back.
    pub(crate) fn into_raw(this: Self) -> NonNull<c_void> {
        ManuallyDrop::new(this).block.as_raw().cast()
    }

    /// The pointer that [`into_raw`](Self::into_raw) would give, without giving the reference away.
    pub(crate) fn as_raw(this: &Self) -> NonNull<c_void> {
        this.block.as_raw().cast()
    }

    /// Whether there is no other reference. All uses of the others have happened before.
    pub(crate) fn is_unique(this: &Self) -> bool {
        this.references().load(Ordering::Acquire) == 1
    }

    /// Takes back a reference.
    ///
    /// # Safety
    ///
    /// `raw` came from [`into_raw`](Self::into_raw) of the same type, and is taken back once.
    pub(crate) unsafe fn from_raw(raw: NonNull<c_void>) -> Self {
        // INVARIANT: the reference that `into_raw` did not drop is this one.
        Self {
            block: Pinned(raw.cast()),
        }
    }

    #[inline]
    fn references(&self) -> &AtomicUsize {
        &self.block.references
    }
}

/// A value that is shared with an event beside it.
///
/// # Invariants
///
/// The event is initialised, and stays where it is, unless nobody has this yet but who makes it.
pub(crate) struct Signalled<T> {
    event: Event,
    value: T,
}

// SAFETY: nothing goes last.
unsafe impl<T> Counted for Signalled<T> {
    type Last = ();
}

impl<T> Shared<Signalled<T>> {
    /// Moves `value` into nonpaged pool, with a notification event; or gives it back when there is none.
    pub(crate) fn signalled(value: T) -> Result<Self, T> {
        Self::beside_event(value, true)
    }

    /// As [`signalled`](Self::signalled), with an event of [either kind](Event::initialise).
    pub(crate) fn beside_event(value: T, notification: bool) -> Result<Self, T> {
        // SAFETY: the event is initialised in nonpaged pool, where it stays, before anybody else has it.
        unsafe {
            let event = Event::room();
            let shared = Self::new(Signalled { event, value }).map_err(|back| back.value)?;
            Event::initialise((&raw const shared.event).cast_mut(), notification);
            Ok(shared)
        }
    }
}

impl<T> Signalled<T> {
    /// The event.
    pub(crate) const fn event(&self) -> &Event {
        &self.event
    }
}

impl<T> Deref for Signalled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Memory for a [`Shared`]. Reserved first, so that nothing can fail once the value is made.
pub(crate) struct Reserved<T: Counted>(Uninit<SharedBlock<T>>);

// SAFETY: it is memory that nothing else refers to, bound to no thread, with nothing in it.
unsafe impl<T: Counted> Send for Reserved<T> {}
// SAFETY: through `&Reserved` nothing is done.
unsafe impl<T: Counted> Sync for Reserved<T> {}

impl<T: Counted> Reserved<T> {
    /// Allocates the memory. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Option<Self> {
        Uninit::reserve().map(Self)
    }

    /// Moves `value` there.
    pub(crate) fn fill(self, value: T) -> Shared<T> {
        let block = self.0.fill(SharedBlock {
            references: AtomicUsize::new(1),
            value,
        });
        // INVARIANT: the block is live and this is its one reference.
        Shared {
            block: Pinned(block.into_raw()),
        }
    }
}

impl<T: Counted> Clone for Shared<T> {
    #[inline]
    fn clone(&self) -> Self {
        // 64 bits do not overflow: no machine runs long enough to count so far one by one.
        self.references().fetch_add(1, Ordering::Relaxed);
        // INVARIANT: the new reference was counted.
        Self { block: self.block }
    }
}

impl<T: Counted> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.value
    }
}

impl<T: Counted> Drop for Shared<T> {
    #[inline]
    fn drop(&mut self) {
        if self.references().fetch_sub(1, Ordering::Release) == 1 {
            // SAFETY: the count said that this was the last reference, which is not used again. `end` orders every earlier use before
            // it uses the block, which an owner gave away for the references.
            end(unsafe { Owned::from_raw(self.block.as_raw()) });
        }
    }
}

/// Drops the value and frees the block, when no reference is left. Out of line: most references are not the last.
#[cold]
#[inline(never)]
fn end<T: Counted>(block: Owned<SharedBlock<T>>) {
    fence(Ordering::Acquire);
    let mut block = block;
    let last = block.value.last();
    // SAFETY: what goes last is taken out of a value that is used for nothing any more but to be dropped, which leaves that alone.
    let last = last.map(|last| unsafe { ManuallyDrop::take(last) });
    drop(block);
    drop(last);
}

/// A reference to a value whose type is no longer known, or none any more.
///
/// # Invariants
///
/// `reference`, unless it is null, came from [`Shared::into_raw`] of the type that `kind` is of, and `release` is for that type.
pub(crate) struct Untyped {
    reference: AtomicPtr<c_void>,
    kind: TypeId,
    release: unsafe fn(NonNull<c_void>),
}

impl Untyped {
    /// Forgets the type of a reference.
    pub(crate) fn new<T: Counted + Send + Sync + 'static>(shared: Shared<T>) -> Self {
        /// # Safety
        ///
        /// The pointer came from `into_raw` of this type, and is used this once.
        unsafe fn release<T: Counted>(reference: NonNull<c_void>) {
            // INVARIANT: the caller keeps the contract of `from_raw`.
            drop(Shared::<T> {
                block: Pinned(reference.cast()),
            });
        }
        // INVARIANT: all for the same type.
        Self {
            reference: AtomicPtr::new(Shared::into_raw(shared).as_ptr()),
            kind: TypeId::of::<T>(),
            release: release::<T>,
        }
    }

    /// The pointer from [`Shared::into_raw`], if there is a reference.
    pub(crate) fn as_raw(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.reference.load(Ordering::Acquire))
    }

    /// The value, if it is of this type and there is a reference.
    pub(crate) fn get<T: Counted + 'static>(&self) -> Option<&T> {
        if self.kind != TypeId::of::<T>() {
            return None;
        }
        let reference = self.as_raw()?;
        // INVARIANT: by that of this type the reference is of the type `T`. Nobody takes it while there is the result.
        Some(&Pinned(reference.cast::<SharedBlock<T>>()).get().value)
    }

    /// Takes the reference out, and leaves none.
    ///
    /// # Safety
    ///
    /// Nobody has what [`get`](Self::get) gave, and nobody gets it meanwhile.
    pub(crate) unsafe fn take(&self) -> Self {
        let reference = self.reference.swap(core::ptr::null_mut(), Ordering::AcqRel);
        // INVARIANT: the reference is no longer there.
        Self {
            reference: AtomicPtr::new(reference),
            kind: self.kind,
            release: self.release,
        }
    }
}

impl Drop for Untyped {
    fn drop(&mut self) {
        if let Some(reference) = self.as_raw() {
            // SAFETY: by the invariant the reference is of the type that `release` is for. This is dropped once.
            unsafe { (self.release)(reference) };
        }
    }
}

/// A place for a value that is put there, used, and taken out.
///
/// # Invariants
///
/// - In the phases `FULL` and `LEAVING` there is a value, which is shared and not moved: by the uses that are counted, and by
///   nobody else. A use is counted in `FULL` only, so that in `LEAVING` they become fewer.
/// - In `MOVING`, and in `LEAVING` without uses, who has changed the phase to it has the value's place alone.
/// - In `LEAVING`, until no use is counted, `taker` is the event of the call that has changed the phase, or that call has a use
///   itself. That call waits for the event, which who ends the last use sets, once.
pub(crate) struct Rundown<T> {
    /// The phase, and the uses, times `USE`.
    word: AtomicUsize,
    taker: AtomicPtr<Event>,
    value: Cell<Option<T>>,
}

const EMPTY: usize = 0;
const MOVING: usize = 1;
const FULL: usize = 2;
const LEAVING: usize = 3;
const PHASE: usize = 3;
const USE: usize = 4;
/// More uses than this are refused, so that their number never runs over: each could be forgotten.
const MOST_USES: usize = usize::MAX / 2;

// SAFETY: what is not shared only moves in and out, which by the invariant one thread at a time does; to share it takes `T: Sync`. The
// event is used by way of the kernel.
unsafe impl<T: Send> Sync for Rundown<T> {}

impl<T> Rundown<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self {
            word: AtomicUsize::new(EMPTY),
            taker: AtomicPtr::new(core::ptr::null_mut()),
            value: Cell::new(None),
        }
    }

    /// Puts a value here. Gives it back when there is one already, or another thread puts or takes one at this moment.
    pub(crate) fn put(&self, value: T) -> Result<(), T> {
        let moving =
            self.word
                .compare_exchange(EMPTY, MOVING, Ordering::Acquire, Ordering::Relaxed);
        if moving.is_err() {
            return Err(value);
        }
        // INVARIANT: who has changed the phase to `MOVING` has the place. There was no value to drop.
        core::mem::forget(Moving(self).replace(Some(value)));
        // INVARIANT: there is a value, which nobody uses.
        self.word.store(FULL, Ordering::Release);
        Ok(())
    }

    /// Takes the value out, once nobody uses it. Gives nothing when there is none, or another thread puts or takes it at this moment.
    pub(crate) fn take(&self, may_wait: MayWait) -> Option<T> {
        Event::on_stack(|event| self.take_told(event, may_wait))
    }

    /// As [`take`](Self::take), with the event that who ends the last use sets.
    fn take_told(&self, event: &Event, may_wait: MayWait) -> Option<T> {
        let leaving = |word| (word & PHASE == FULL).then(|| word - FULL + LEAVING + USE);
        // INVARIANT: a use more, which is this call's, until the event can be found.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, leaving)
            .ok()?;
        let place = core::ptr::from_ref(event).cast_mut();
        self.taker.store(place, Ordering::Relaxed);
        if !self.end_use() {
            event.wait(may_wait, None);
        }
        // INVARIANT: this call has changed the phase to `LEAVING`, and no use is left.
        let value = Moving(self).replace(None);
        self.word.store(EMPTY, Ordering::Release);
        value
    }

    /// Counts a use off. Says whether it was the last one of a value that is to be taken.
    fn end_use(&self) -> bool {
        self.word.fetch_sub(USE, Ordering::AcqRel) == LEAVING + USE
    }

    /// Whether there is a value that nobody is about to take.
    pub(crate) fn is_full(&self) -> bool {
        self.word.load(Ordering::Relaxed) & PHASE == FULL
    }
}

/// The place of the value, for who moves the value in or out.
///
/// # Invariants
///
/// Whoever has this has the place alone.
struct Moving<'a, T>(&'a Rundown<T>);

impl<T> Moving<'_, T> {
    /// Puts a value there, or none. Gives the value that was there.
    fn replace(self, value: Option<T>) -> Option<T> {
        // SAFETY: by the invariant nobody else has the place.
        (self.0.value).with_mut(|place| core::mem::replace(unsafe { &mut *place }, value))
    }
}

impl<T: Sync> Rundown<T> {
    /// Begins a use of the value, if there is one. Who takes the value waits until the use is dropped.
    pub(crate) fn get(&self) -> Option<Used<'_, T>> {
        let used = |word| (word & PHASE == FULL && word < MOST_USES).then(|| word + USE);
        // INVARIANT: counted while the phase is `FULL`.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, used)
            .ok()?;
        Some(Used { of: self })
    }
}

/// A use of a value.
///
/// # Invariants
///
/// The use is counted, and ends once, when this is dropped. `T` is `Sync`.
pub(crate) struct Used<'a, T> {
    of: &'a Rundown<T>,
}

impl<T> Deref for Used<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: by the invariants there is a value, which is shared and not moved as long as this use is counted.
        self.of
            .value
            .with(|place| unsafe { (*place).as_ref().unwrap_unchecked() })
    }
}

impl<T> Drop for Used<'_, T> {
    fn drop(&mut self) {
        if self.of.end_use() {
            // SAFETY: by the invariant the event is there until it is set, which happens here and nowhere else.
            unsafe { (*self.of.taker.load(Ordering::Relaxed)).set() };
        }
    }
}
