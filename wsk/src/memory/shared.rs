//! Reference-counted nonpaged memory: `Arc` for drivers, where allocation can fail and no allocator is installed.

use core::any::TypeId;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use crate::memory::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use crate::memory::objects::Event;
use crate::memory::{Owned, Room};

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
struct Block<T> {
    references: AtomicUsize,
    value: T,
}

/// A reference to a value in nonpaged pool, dropped and freed with the last reference.
///
/// # Invariants
///
/// `block` was given away by its owner, and each `Shared` accounts for one of its `references`.
pub struct Shared<T: Counted> {
    block: Pinned<Block<T>>,
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
pub(crate) struct Reserved<T: Counted>(Room<Block<T>>);

// SAFETY: it is memory that nothing else refers to, bound to no thread, with nothing in it.
unsafe impl<T: Counted> Send for Reserved<T> {}
// SAFETY: through `&Reserved` nothing is done.
unsafe impl<T: Counted> Sync for Reserved<T> {}

impl<T: Counted> Reserved<T> {
    /// Allocates the memory. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Option<Self> {
        Room::reserve().map(Self)
    }

    /// Moves `value` there.
    pub(crate) fn fill(self, value: T) -> Shared<T> {
        let block = self.0.fill(Block {
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
fn end<T: Counted>(block: Owned<Block<T>>) {
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

    /// What [`Shared::into_raw`] gave, if there is a reference.
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
        Some(&Pinned(reference.cast::<Block<T>>()).get().value)
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
