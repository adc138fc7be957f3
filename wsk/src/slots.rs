//! Slots that are made once and taken again and again, in one allocation, with the list of free ones and a way to wait for one.
//! Stand for a lookaside list with a bound.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crate::error::{Error, Memory};
use crate::free_list::FreeList;
use crate::memory;

/// What can be made into slots.
pub(crate) trait Linked {
    /// The link of this slot in the list of free ones, which nothing else uses.
    fn link(&self) -> &AtomicU32;
}

/// Slots, and which of them are free.
///
/// # Invariants
///
/// `slots` has room for `depth`, of which the first `made` are initialised. Each of those is in `free` or has one holder, who knows
/// its number from [`pop`](Self::pop).
pub(crate) struct Slots<T: Linked> {
    slots: NonNull<T>,
    depth: u32,
    made: u32,
    free: FreeList,
}

// SAFETY: slots change hands through the list, and are dropped with this; who has this sees them by reference.
unsafe impl<T: Linked + Send + Sync> Send for Slots<T> {}
// SAFETY: through `&Slots` slots are only shared, or taken and given back, by atomic exchange, by who may have them on any thread.
unsafe impl<T: Linked + Send + Sync> Sync for Slots<T> {}

impl<T: Linked> Slots<T> {
    /// Room for `depth` slots. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoBuffers`] for a depth of 0, [`Error::NoMemory`].
    pub(crate) fn reserve(depth: u32) -> Result<Self, Error> {
        if depth == 0 {
            return Err(Error::NoBuffers);
        }
        // Does not compile for what wants more alignment than the pool gives.
        let _ = memory::layout::<T>();
        let slots = Layout::array::<T>(depth as usize)
            .ok()
            .and_then(memory::allocate)
            .ok_or(Error::NoMemory(Memory::Irp))?;
        // INVARIANT: room for `depth`, none of them made.
        Ok(Self {
            slots: slots.cast(),
            depth,
            made: 0,
            free: FreeList::new(),
        })
    }

    /// Makes the next slot, free; nothing when all are made.
    ///
    /// # Safety
    ///
    /// `make` initialises the slot at the place that it is given, which is zeroed or not, and whose number comes with it.
    pub(crate) unsafe fn add(&mut self, make: impl FnOnce(NonNull<T>, u32)) {
        let index = self.made;
        if index == self.depth {
            return;
        }
        // SAFETY: there is room behind the slots that are made, by the invariant.
        make(unsafe { self.slots.add(index as usize) }, index);
        // INVARIANT: the caller's `make` has initialised it, and it goes into the list.
        self.made += 1;
        // SAFETY: the slot is made, and has no holder yet.
        unsafe { self.push(index, self.slot(index)) };
    }

    /// Makes the list ready to be waited for.
    ///
    /// # Safety
    ///
    /// This is in nonpaged memory and does not move any more; nobody waits yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.free.settle() };
    }

    /// The slots that are made, taken or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        // SAFETY: by the invariant so many are initialised, and they are shared for as long as this.
        unsafe { core::slice::from_raw_parts(self.slots.as_ptr(), self.made as usize) }.iter()
    }

    /// The slot of a number.
    ///
    /// # Safety
    ///
    /// The number came from [`pop`](Self::pop), or from [`add`](Self::add).
    pub(crate) unsafe fn slot(&self, index: u32) -> &T {
        // SAFETY: so many slots are made; this one is shared for as long as this.
        unsafe { self.slots.add(index as usize).as_ref() }
    }

    /// Takes a slot, if one is free. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn pop(&self) -> Option<u32> {
        // SAFETY: the numbers in the list are those that `add` has put there.
        self.free.pop(|index| unsafe { self.slot(index) }.link())
    }

    /// Gives a slot back. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The caller is the slot's one holder, and leaves it alone from now on; the number is the slot's.
    #[inline]
    pub(crate) unsafe fn push(&self, index: u32, slot: &T) {
        self.free.push(index, slot.link());
    }

    /// Has `take` take what there is, waiting until there is some or `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn take_within<R>(
        &self,
        limit: Option<Duration>,
        take: impl Fn() -> Option<R>,
    ) -> Result<R, Error> {
        self.free.take_within(limit, take)
    }

    /// The number of slots that there is room for.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }
}

impl<T: Linked> Drop for Slots<T> {
    fn drop(&mut self) {
        // SAFETY: the first `made` are initialised, and have no holder: each holder keeps this.
        unsafe {
            NonNull::slice_from_raw_parts(self.slots, self.made as usize).drop_in_place();
        }
        // SAFETY: the memory came from `allocate`, and nothing is left in it.
        unsafe { memory::free(self.slots.cast()) };
    }
}
