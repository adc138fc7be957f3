//! Slots that are made once and taken again and again, in one allocation, with the stack of free ones and a way to wait. Stands
//! for a lookaside list with a bound.
//!
//! Who has taken a slot does not count: the arena stays until its last handle is gone and the last slot has come back. So taking a
//! slot and giving it back are one atomic exchange each. When the last handle goes it closes the stack, and says how many slots
//! are missing; each of those, finding the stack closed, counts itself off, and the last one frees the arena.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;

use crate::error::{Error, Memory};
use crate::irql::{MayWait, may_wait};
use crate::memory;
use crate::memory::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use crate::memory::event::Event;
use crate::memory::stack::{MOST, NotPushed, Stack};
use crate::time::Deadline;

/// One of the values of an arena.
///
/// # Invariants
///
/// It is number `index` of the arena, and either in the stack of free ones or with one holder, whose value is. `link` is the stack's.
#[repr(C)]
struct Slot<V, L> {
    value: V,
    arena: NonNull<Arena<V, L>>,
    index: u32,
    link: AtomicU32,
}

/// The slots, and what goes last.
///
/// # Invariants
///
/// `slots` has room for `depth`, of which the first `made` are initialised. While there are handles, or slots with holders, all of
/// this is there.
struct Arena<V, L> {
    slots: NonNull<Slot<V, L>>,
    depth: u32,
    made: u32,
    stack: Stack<AtomicU64>,
    handles: AtomicUsize,
    /// The slots that are missing, from when the stack is closed on.
    missing: AtomicU32,
    /// The threads that wait.
    waiting: AtomicU32,
    /// Set for one waiter, when a slot has come back that may be taken.
    available: Event,
    /// Set for one waiter, when a slot has come back that may be the last.
    idle: Event,
    last: ManuallyDrop<L>,
}

impl<V, L> Arena<V, L> {
    fn link(&self, index: u32) -> &AtomicU32 {
        // SAFETY: numbers in the stack are those of slots that are made, by the invariant; the link is atomic.
        unsafe { &(*self.slots.add(index as usize).as_ptr()).link }
    }

    /// Tells those who wait that a slot has come back.
    #[cold]
    fn announce(&self) {
        self.available.set();
        self.idle.set();
    }

    /// Drops the values, frees the memory, and drops what goes last.
    ///
    /// # Safety
    ///
    /// All slots that were made have come back, nobody has a handle, and `arena` is not used again.
    #[cold]
    unsafe fn free(arena: NonNull<Self>) {
        // SAFETY: the caller gives the arena away, of which what goes last is initialised.
        unsafe {
            // Dropped when everything else is gone, also when a value's code unwinds.
            let _last = ManuallyDrop::into_inner((&raw const (*arena.as_ptr()).last).read());
            Values::free(arena);
        }
    }

    /// One of the missing slots has come back, or `missing` are.
    ///
    /// # Safety
    ///
    /// The stack is closed, and the caller uses the arena no more.
    unsafe fn count_off(arena: NonNull<Self>, change: impl FnOnce(&AtomicU32) -> u32) {
        // SAFETY: the arena is there as long as a slot is missing, or until the last handle has counted.
        let left = unsafe { change(&(*arena.as_ptr()).missing) };
        if left == 0 {
            fence(Ordering::Acquire);
            // SAFETY: the last of them sees 0: those that came before the handle went were counted below it.
            unsafe { Self::free(arena) };
        }
    }
}

/// The values of an arena, which are dropped, and its memory, which is freed then.
///
/// # Invariants
///
/// The arena and its slots, of which the first `made` are initialised, are this one's alone. Those before `dropped` have been dropped.
struct Values<V, L> {
    arena: NonNull<Arena<V, L>>,
    dropped: usize,
}

impl<V, L> Values<V, L> {
    /// # Safety
    ///
    /// The arena and its slots are the caller's alone, who gives them away.
    unsafe fn free(arena: NonNull<Arena<V, L>>) {
        // INVARIANT: the caller says so.
        let mut values = Self { arena, dropped: 0 };
        values.drop_rest();
    }

    fn drop_rest(&mut self) {
        let arena = self.arena.as_ptr();
        // SAFETY: by the invariant the slots are this one's alone, and initialised; each is dropped once.
        unsafe {
            while self.dropped < (*arena).made as usize {
                let slot = (*arena).slots.add(self.dropped).as_ptr();
                // INVARIANT: counted before, because its code may unwind.
                self.dropped += 1;
                (&raw mut (*slot).value).drop_in_place();
            }
        }
    }
}

impl<V, L> Drop for Values<V, L> {
    fn drop(&mut self) {
        // Those behind one whose code has unwound.
        self.drop_rest();
        // SAFETY: by the invariant both blocks are this one's alone; they came from `allocate`, and nothing in them is left to drop.
        unsafe {
            memory::free((*self.arena.as_ptr()).slots.cast());
            memory::free(self.arena.cast());
        }
    }
}

/// An arena that is being filled.
///
/// # Invariants
///
/// Nobody else has the arena, of which `last` is not initialised.
pub(crate) struct Filling<V, L> {
    arena: NonNull<Arena<V, L>>,
}

impl<V, L> Filling<V, L> {
    /// Room for `depth` values. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, [`Error::NoMemory`].
    pub(crate) fn new(depth: u32) -> Result<Self, Error> {
        if depth == 0 {
            return Err(Error::NoOperations);
        }
        // Does not compile for what wants more alignment than the pool gives.
        let _ = memory::layout::<Slot<V, L>>();
        let no_memory = Error::NoMemory(Memory::Irp);
        let slots = Layout::array::<Slot<V, L>>(depth as usize)
            .ok()
            .filter(|_| depth <= MOST)
            .and_then(memory::allocate)
            .ok_or(no_memory)?
            .cast();
        let Some(arena) = memory::allocate(memory::layout::<Arena<V, L>>()) else {
            // SAFETY: it was just allocated, and nothing is in it.
            unsafe { memory::free(slots.cast()) };
            return Err(no_memory);
        };
        let arena = arena.cast::<Arena<V, L>>();
        let place = arena.as_ptr();
        // SAFETY: freshly allocated nonpaged memory of that layout, where the events stay. What goes last is written by `finish`.
        unsafe {
            (&raw mut (*place).slots).write(slots);
            (&raw mut (*place).depth).write(depth);
            (&raw mut (*place).made).write(0);
            (&raw mut (*place).stack).write(Stack::new(AtomicU64::new(0)));
            (&raw mut (*place).handles).write(AtomicUsize::new(1));
            (&raw mut (*place).missing).write(AtomicU32::new(0));
            (&raw mut (*place).waiting).write(AtomicU32::new(0));
            Event::initialise(&raw mut (*place).available, false);
            Event::initialise(&raw mut (*place).idle, false);
        }
        // INVARIANT: room for `depth`, none of them made.
        Ok(Self { arena })
    }

    /// Makes the next value; nothing when all are made.
    ///
    /// # Safety
    ///
    /// `make` initialises the value at the place that it is given, where it stays.
    pub(crate) unsafe fn add(&mut self, make: impl FnOnce(NonNull<V>)) {
        let make = |place| {
            make(place);
            true
        };
        // SAFETY: the caller keeps the same contract, for a value that is always made.
        unsafe { self.add_if(make) };
    }

    /// As [`add`](Self::add), of a value that may not be made.
    ///
    /// # Safety
    ///
    /// `make` initialises the value at the place that it is given, where it stays, or says that it has not.
    pub(crate) unsafe fn add_if(&mut self, make: impl FnOnce(NonNull<V>) -> bool) {
        let arena = self.arena.as_ptr();
        // SAFETY: by the invariant the arena is this one's alone; there is room behind the slots that are made.
        unsafe {
            let index = (*arena).made;
            if index == (*arena).depth {
                return;
            }
            let slot = (*arena).slots.add(index as usize).as_ptr();
            (&raw mut (*slot).arena).write(self.arena);
            (&raw mut (*slot).index).write(index);
            (&raw mut (*slot).link).write(AtomicU32::new(0));
            if !make(NonNull::new_unchecked(&raw mut (*slot).value)) {
                return;
            }
            // INVARIANT: the caller's `make` has initialised it, and it goes into the stack, which is neither closed nor awaited.
            (*arena).made = index + 1;
            let _ = (*arena).stack.push(index, &(*slot).link, true);
        }
    }

    /// The arena, with what is dropped last.
    pub(crate) fn finish(self, last: L) -> Handle<V, L> {
        let arena = ManuallyDrop::new(self).arena;
        // SAFETY: by the invariant the arena is this one's alone.
        unsafe { (&raw mut (*arena.as_ptr()).last).write(ManuallyDrop::new(last)) };
        // INVARIANT: this is the one handle.
        Handle { arena }
    }
}

impl<V, L> Drop for Filling<V, L> {
    fn drop(&mut self) {
        // SAFETY: by the invariant the arena is this one's alone, and nobody has a slot. There is nothing that goes last.
        unsafe { Values::free(self.arena) };
    }
}

/// A handle of an arena of values `V`; with the last one, and the last slot, goes `L`.
///
/// # Invariants
///
/// It accounts for one of the arena's `handles`.
pub(crate) struct Handle<V, L> {
    arena: NonNull<Arena<V, L>>,
}

// SAFETY: values change hands through the stack and are dropped, as `L` is, by whoever is last, on any thread.
unsafe impl<V: Send, L: Send + Sync> Send for Handle<V, L> {}
// SAFETY: through a shared handle values are taken and given back, by atomic exchange, and `L` is shared.
unsafe impl<V: Send, L: Send + Sync> Sync for Handle<V, L> {}

impl<V, L> Handle<V, L> {
    #[inline]
    fn arena(&self) -> &Arena<V, L> {
        // SAFETY: by the invariant the arena is there as long as the handle; what changes in it is atomic.
        unsafe { self.arena.as_ref() }
    }

    /// Takes a value, if one is free, until it is [given back](Self::give_back). IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<V>> {
        let arena = self.arena();
        let index = arena.stack.pop(|index| arena.link(index))?;
        // SAFETY: the number of a slot that is made; a slot begins with its value.
        Some(unsafe { arena.slots.add(index as usize) }.cast())
    }

    /// Takes a value, waiting until one is free or `limit` runs out. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::PoolEmpty`].
    pub(crate) fn take_within(&self, limit: Option<Duration>) -> Result<NonNull<V>, Error> {
        let may_wait = may_wait()?;
        if let Some(taken) = self.take() {
            return Ok(taken);
        }
        let event = &self.arena().available;
        self.wait_until(may_wait, event, limit, || self.take())
            .ok_or(Error::PoolEmpty)
    }

    /// Waits until all values are free, or `limit` runs out; says whether they are. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub(crate) fn wait_until_idle(&self, limit: Option<Duration>) -> Result<bool, Error> {
        let may_wait = may_wait()?;
        let event = &self.arena().idle;
        let is_idle = || self.is_idle().then_some(());
        Ok(is_idle().is_some() || self.wait_until(may_wait, event, limit, is_idle).is_some())
    }

    /// Whether all values are free. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn is_idle(&self) -> bool {
        let arena = self.arena();
        let count = arena.stack.count(arena.made, |index| arena.link(index));
        count == Some(arena.made)
    }

    /// Waits until `look` sees something, which the event, perhaps, tells of.
    fn wait_until<T>(
        &self,
        may_wait: MayWait,
        event: &Event,
        limit: Option<Duration>,
        look: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let arena = self.arena();
        arena.waiting.fetch_add(1, Ordering::SeqCst);
        arena.stack.set_awaited(true);
        let deadline = limit.map(Deadline::after);
        let seen = loop {
            if let Some(seen) = look() {
                break Some(seen);
            }
            if !event.wait(may_wait, deadline.as_ref().map(Deadline::left)) {
                break look();
            }
        };
        if arena.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            arena.stack.set_awaited(false);
            if arena.waiting.load(Ordering::SeqCst) == 0 {
                return seen;
            }
            // Another one has come meanwhile.
            arena.stack.set_awaited(true);
        }
        // What came back together was announced once, and some of it perhaps not at all: the others are to look again.
        arena.announce();
        seen
    }

    /// The number of values, free or not.
    #[allow(clippy::misnamed_getters)]
    pub(crate) fn depth(&self) -> u32 {
        self.arena().made
    }

    /// What goes last, with the arena of a value.
    ///
    /// # Safety
    ///
    /// `value` was [taken](Self::take) from an arena of these types, and not given back before the result is used no more.
    pub(crate) unsafe fn last_of<'l>(value: NonNull<V>) -> &'l L {
        // SAFETY: a slot begins with its value; its arena is there as long as it has a holder.
        unsafe { &(*(*value.cast::<Slot<V, L>>().as_ptr()).arena.as_ptr()).last }
    }

    /// Gives a value back, and with the last one, when there is no handle any more, frees the arena. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// `value` was [taken](Self::take) from an arena of these types; the caller, its one holder, leaves it alone from now on.
    #[inline]
    pub(crate) unsafe fn give_back(value: NonNull<V>) {
        let slot = value.cast::<Slot<V, L>>();
        // SAFETY: a slot begins with its value, and its arena is there as long as it has a holder: up to the push.
        let pushed = unsafe {
            let (index, arena) = ((*slot.as_ptr()).index, (*slot.as_ptr()).arena);
            (*arena.as_ptr())
                .stack
                .push(index, &(*slot.as_ptr()).link, false)
        };
        if pushed.is_err() {
            // SAFETY: nothing was done, so the caller is the holder still.
            unsafe { give_back_slowly(slot) };
        }
    }
}

/// Gives a slot back that somebody waits for, or that its arena waits for to be freed.
///
/// # Safety
///
/// As for [`Handle::give_back`].
#[cold]
#[inline(never)]
unsafe fn give_back_slowly<V, L>(slot: NonNull<Slot<V, L>>) {
    // SAFETY: the arena is there as long as the slot has a holder.
    let (arena, index) = unsafe { ((*slot.as_ptr()).arena, (*slot.as_ptr()).index) };
    // A handle for the time of the announcement: without one the arena may go as soon as the slot is pushed. Who waits has one.
    let more = |handles: usize| (handles > 0).then(|| handles + 1);
    // SAFETY: as above; the count is atomic.
    let counted = unsafe {
        let handles = &(*arena.as_ptr()).handles;
        handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
    };
    // INVARIANT: counted. (A handle that is not must not even be made: to drop it would count.)
    let handle = counted.is_ok().then(|| Handle { arena });
    // SAFETY: as above: the arena is there up to the push.
    let pushed = unsafe {
        (*arena.as_ptr())
            .stack
            .push(index, &(*slot.as_ptr()).link, true)
    };
    match (pushed, handle) {
        (Ok(()), Some(handle)) => handle.arena().announce(),
        // Without a handle nobody waits, and the arena is not touched again.
        (Ok(()), None) => {}
        // SAFETY: the stack is closed, of which this slot was missing.
        (Err(NotPushed::Closed | NotPushed::Awaited), _) => unsafe {
            Arena::count_off(arena, |missing| {
                missing.fetch_sub(1, Ordering::AcqRel).wrapping_sub(1)
            });
        },
    }
}

impl<V, L> Clone for Handle<V, L> {
    fn clone(&self) -> Self {
        self.arena().handles.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: counted.
        Self { arena: self.arena }
    }
}

impl<V, L> Drop for Handle<V, L> {
    fn drop(&mut self) {
        let arena = self.arena();
        if arena.handles.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            let free = arena.stack.close(arena.made, |index| arena.link(index));
            let missing = arena.made - free;
            // SAFETY: the stack is closed, and this was the last handle, which is not used again.
            unsafe {
                Arena::count_off(self.arena, |count| {
                    count
                        .fetch_add(missing, Ordering::AcqRel)
                        .wrapping_add(missing)
                });
            }
        }
    }
}
