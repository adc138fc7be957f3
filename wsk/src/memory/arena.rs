//! Slots that are made once and taken again and again, in one allocation, with the stack of free ones and a way to wait. Stands
//! for a lookaside list with a bound.
//!
//! Who has taken a slot does not count: the arena stays until its last handle is gone and the last slot has come back. So taking a
//! slot and giving it back are one atomic exchange each. When the last handle goes it closes the stack, and says how many slots
//! are missing; each of those, finding the stack closed, counts itself off, and the last one frees the arena.

use core::alloc::Layout;
use core::convert::Infallible;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, offset_of};
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
/// It is number `index` of its arena, whose values are `V`, and either in the stack of free ones or with one holder, whose value is. `link` is the stack's.
#[repr(C)]
struct Slot<V> {
    value: V,
    place: Place,
}

/// What a slot has besides its value: where it belongs.
struct Place {
    arena: NonNull<Core>,
    index: u32,
    link: AtomicU32,
}

/// The slots, and what goes last.
///
/// # Invariants
///
/// Its slots are [`Slot<V>`](Slot), with room for `depth`, of which the first `made` are initialised. While there are handles, or
/// slots with holders, all of this is there.
#[repr(C)]
struct Arena<V, L> {
    core: Core,
    last: ManuallyDrop<L>,
    values: PhantomData<V>,
}

impl<V, L> Arena<V, L> {
    #[inline]
    fn slots(&self) -> NonNull<Slot<V>> {
        self.core.slots.cast()
    }

    /// A slot of those.
    #[inline]
    fn slot(slots: NonNull<Slot<V>>, index: u32) -> NonNull<Slot<V>> {
        // SAFETY: by the invariant the slots are of that type; callers give the number of one for which there is room.
        unsafe { slots.add(index as usize) }
    }
}

/// What of an arena is the same whatever its values are, so that a driver has the code that is seldom run once.
///
/// # Invariants
///
/// It begins an [`Arena`], which `free` is for; each slot has so many bytes, its [`Place`] so many from where it begins.
#[repr(C)]
struct Core {
    // What every value is taken and given back with first, to have it together.
    slots: NonNull<u8>,
    stack: Stack<AtomicU64>,
    depth: u32,
    made: u32,
    size: usize,
    place: usize,
    free: unsafe fn(NonNull<Core>),
    handles: AtomicUsize,
    /// The slots that are missing, from when the stack is closed on.
    missing: AtomicU32,
    /// The threads that wait.
    waiting: AtomicU32,
    /// Set for one waiter, when a slot has come back that may be taken.
    available: Event,
    /// Set for one waiter, when a slot has come back that may be the last.
    idle: Event,
}

impl Core {
    fn link(&self, index: u32) -> &AtomicU32 {
        // SAFETY: numbers in the stack are those of slots that are made, by the invariant; the link is atomic.
        unsafe {
            let slot = self.slots.add(index as usize * self.size);
            &(*slot.add(self.place).cast::<Place>().as_ptr()).link
        }
    }

    /// Tells those who wait that a slot has come back.
    fn announce(&self) {
        self.available.set();
        self.idle.set();
    }

    /// The next slot is made, whose value is initialised, and goes into the stack unless it is taken from the start.
    ///
    /// # Safety
    ///
    /// It is that of an arena that is being filled, and `place` the next slot's.
    #[inline(never)]
    unsafe fn made(this: NonNull<Self>, place: *mut Place, taken: bool) {
        // SAFETY: the caller is the only one that has the arena, and gives the place. It goes into the stack, which is neither closed
        // nor awaited.
        unsafe {
            let core = this.as_ptr();
            let index = (*core).made;
            place.write(Place {
                arena: this,
                index,
                link: AtomicU32::new(0),
            });
            (*core).made = index + 1;
            if !taken {
                let _ = (*core).stack.push(index, &(*place).link, true);
            }
        }
    }

    /// One handle less. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// It was counted, and the caller uses the arena no more.
    unsafe fn one_less(this: NonNull<Self>) {
        // SAFETY: the arena is there as long as the handle is counted.
        let core = unsafe { this.as_ref() };
        if core.handles.fetch_sub(1, Ordering::Release) == 1 {
            // SAFETY: this was the last handle.
            unsafe { Self::close(this) };
        }
    }

    /// The last handle is gone.
    ///
    /// # Safety
    ///
    /// It is, and the caller uses the arena no more.
    #[cold]
    #[inline(never)]
    unsafe fn close(this: NonNull<Self>) {
        fence(Ordering::Acquire);
        // SAFETY: the arena is there until the missing slots are counted.
        let core = unsafe { this.as_ref() };
        let free = core.stack.close(core.made, |index| core.link(index));
        // SAFETY: the stack is closed, and this was the last handle, which is not used again.
        unsafe { Self::count_off(this, core.made - free) };
    }

    /// One of the missing slots has come back, which is to add -1, or so many are missing.
    ///
    /// # Safety
    ///
    /// The stack is closed, and the caller uses the arena no more.
    unsafe fn count_off(this: NonNull<Self>, change: u32) {
        // SAFETY: the arena is there as long as a slot is missing, or until the last handle has counted.
        let missing = unsafe { &(*this.as_ptr()).missing };
        let left = missing
            .fetch_add(change, Ordering::AcqRel)
            .wrapping_add(change);
        if left == 0 {
            fence(Ordering::Acquire);
            // SAFETY: the last of them sees 0: those that came before the handle went were counted below it. By the invariant it is an
            // arena of the type that this is for.
            unsafe { ((*this.as_ptr()).free)(this) };
        }
    }
}

/// Drops the values, frees the memory, and drops what goes last.
///
/// # Safety
///
/// It is the core of an arena of these types. All slots that were made have come back, nobody has a handle, and it is not used again.
#[cold]
unsafe fn free<V, L>(core: NonNull<Core>) {
    let arena = core.cast::<Arena<V, L>>();
    // SAFETY: the caller gives the arena away, of which what goes last is initialised.
    unsafe {
        // Dropped when everything else is gone, also when a value's code unwinds.
        let _last = ManuallyDrop::into_inner((&raw const (*arena.as_ptr()).last).read());
        Values::free(arena);
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
            while self.dropped < (*arena).core.made as usize {
                let slot = (*arena).core.slots.cast::<Slot<V>>();
                let slot = slot.add(self.dropped).as_ptr();
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
            memory::free((*self.arena.as_ptr()).core.slots);
            memory::free(self.arena.cast());
        }
    }
}

/// Allocates an arena and its slots, and initialises its core, with one handle and no slot made.
///
/// # Safety
///
/// `arena` is the layout of an [`Arena`] that `free` is for, and of which each slot has `size` bytes, the [`Place`] so many from where
/// it begins.
#[inline(never)]
unsafe fn new_core(
    arena: Layout,
    depth: u32,
    size: usize,
    slot_place: usize,
    free: unsafe fn(NonNull<Core>),
) -> Option<NonNull<Core>> {
    if depth > MOST {
        return None;
    }
    let slots = Layout::from_size_align(size.checked_mul(depth as usize)?, 1).ok()?;
    let slots = memory::allocate(slots)?;
    let Some(core) = memory::allocate(arena) else {
        // SAFETY: it was just allocated, and nothing is in it.
        unsafe { memory::free(slots) };
        return None;
    };
    let core = core.cast::<Core>();
    let place = core.as_ptr();
    // SAFETY: freshly allocated nonpaged memory, of a layout that begins with a core, where the events stay.
    unsafe {
        (&raw mut (*place).slots).write(slots);
        (&raw mut (*place).size).write(size);
        (&raw mut (*place).place).write(slot_place);
        (&raw mut (*place).free).write(free);
        (&raw mut (*place).depth).write(depth);
        (&raw mut (*place).made).write(0);
        (&raw mut (*place).stack).write(Stack::new(AtomicU64::new(0)));
        (&raw mut (*place).handles).write(AtomicUsize::new(1));
        (&raw mut (*place).missing).write(AtomicU32::new(0));
        (&raw mut (*place).waiting).write(AtomicU32::new(0));
        Event::initialise(&raw mut (*place).available, false);
        Event::initialise(&raw mut (*place).idle, false);
    }
    Some(core)
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
        let _ = memory::layout::<Slot<V>>();
        let arena = memory::layout::<Arena<V, L>>();
        let place = offset_of!(Slot<V>, place);
        // SAFETY: that is how the arena and its slots are laid out, and they are of the types that `free` is for.
        let core = unsafe { new_core(arena, depth, size_of::<Slot<V>>(), place, free::<V, L>) };
        let core = core.ok_or(Error::NoMemory(Memory::Irp))?;
        let arena = core.cast::<Arena<V, L>>();
        // INVARIANT: room for `depth`, none of them made.
        Ok(Self { arena })
    }

    /// Makes the next value; nothing when all are made.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    ///
    /// # Safety
    ///
    /// `make` initialises the value at the place that it is given, where it stays, or fails.
    pub(crate) unsafe fn add<E>(
        &mut self,
        make: impl FnOnce(NonNull<V>) -> Result<(), E>,
    ) -> Result<(), E> {
        // SAFETY: by the invariant the arena is this one's alone.
        let (count, depth) = unsafe {
            let core = &(*self.arena.as_ptr()).core;
            (core.made, core.depth)
        };
        if count == depth {
            return Ok(());
        }
        // SAFETY: there is room, and the caller vouches for `make`.
        unsafe { self.make(false, make) }.map(|_| ())
    }

    /// Adds a value; drops it when all are made.
    pub(crate) fn push(&mut self, value: V) {
        let make = |place: NonNull<V>| {
            // SAFETY: that is what the place is for.
            unsafe { place.write(value) };
            Ok(())
        };
        // SAFETY: the value is written there.
        let Ok(()) = unsafe { self.add::<Infallible>(make) };
    }

    /// Makes the first value, which is taken from the start: the arena goes when it is given back.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add), before anything was made.
    pub(crate) unsafe fn alone<E>(
        self,
        last: L,
        make: impl FnOnce(NonNull<V>) -> Result<(), E>,
    ) -> Result<NonNull<V>, E> {
        let mut filling = self;
        // SAFETY: there is room for one at least, and the caller vouches for `make`.
        let value = unsafe { filling.make(true, make) }?;
        drop(filling.finish(last));
        Ok(value)
    }

    /// # Safety
    ///
    /// As for [`add`](Self::add), with room for another value.
    unsafe fn make<E>(
        &mut self,
        taken: bool,
        make: impl FnOnce(NonNull<V>) -> Result<(), E>,
    ) -> Result<NonNull<V>, E> {
        // SAFETY: by the invariant the arena is this one's alone; there is room behind the slots that are made.
        unsafe {
            let arena = self.arena.as_ref();
            let slot = Arena::<V, L>::slot(arena.slots(), arena.core.made);
            // A slot begins with its value.
            make(slot.cast())?;
            // INVARIANT: the caller's `make` has initialised it.
            Core::made(self.arena.cast(), &raw mut (*slot.as_ptr()).place, taken);
            Ok(slot.cast())
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

    #[inline]
    fn core(&self) -> &Core {
        &self.arena().core
    }

    /// Takes a value, if one is free, until it is [given back](Self::give_back). IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<V>> {
        let arena = self.arena();
        // Once: they stay where they are.
        let slots = arena.slots();
        // SAFETY: numbers in the stack are those of slots that are made, by the invariant; the link is atomic.
        let link = |index| unsafe { &(*Arena::<V, L>::slot(slots, index).as_ptr()).place.link };
        match arena.core.stack.pop(link) {
            // A slot begins with its value.
            Some(index) => Some(Arena::<V, L>::slot(slots, index).cast()),
            None => self.take_awaited(),
        }
    }

    /// As [`take`](Self::take), where none is free, or somebody waits for one.
    #[cold]
    #[inline(never)]
    fn take_awaited(&self) -> Option<NonNull<V>> {
        let core = self.core();
        let index = core.stack.pop_awaited(|index| core.link(index))?;
        Some(Arena::<V, L>::slot(self.arena().slots(), index).cast())
    }

    /// Takes a value, waiting until one is free, `limit` runs out, or `other` is set. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::PoolEmpty`].
    pub(crate) fn take_within(
        &self,
        limit: Option<Duration>,
        other: Option<&Event>,
    ) -> Result<NonNull<V>, Error> {
        let may_wait = may_wait()?;
        if let Some(taken) = self.take() {
            return Ok(taken);
        }
        let event = &self.core().available;
        self.wait_until(may_wait, event, limit, other, || self.take())
            .ok_or(Error::PoolEmpty)
    }

    /// Waits until all values are free, or `limit` runs out; says whether they are. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`].
    pub(crate) fn wait_until_idle(&self, limit: Option<Duration>) -> Result<bool, Error> {
        let may_wait = may_wait()?;
        let event = &self.core().idle;
        let is_idle = || self.is_idle().then_some(());
        let wait = || self.wait_until(may_wait, event, limit, None, is_idle);
        Ok(is_idle().or_else(wait).is_some())
    }

    /// Whether all values are free. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn is_idle(&self) -> bool {
        let arena = self.core();
        let count = arena.stack.count(arena.made, |index| arena.link(index));
        count == Some(arena.made)
    }

    /// Waits until `look` sees something, which the event, perhaps, tells of, until `limit` runs out, or `other` is set.
    fn wait_until<T>(
        &self,
        may_wait: MayWait,
        event: &Event,
        limit: Option<Duration>,
        other: Option<&Event>,
        look: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let arena = self.core();
        arena.waiting.fetch_add(1, Ordering::SeqCst);
        arena.stack.set_awaited(true);
        let deadline = limit.map(|limit| Deadline::after(limit, true));
        let seen = loop {
            if let Some(seen) = look() {
                break Some(seen);
            }
            let left = deadline.as_ref().map(Deadline::left);
            let told = match other {
                Some(other) => event.wait_or(other, may_wait, left),
                None => event.wait(may_wait, left),
            };
            if !told {
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
        let core = self.core();
        core.made
    }

    /// What goes last, with the arena of a value.
    ///
    /// # Safety
    ///
    /// `value` was [taken](Self::take) from an arena of these types, and not given back before the result is used no more.
    pub(crate) unsafe fn last_of<'l>(value: NonNull<V>) -> &'l L {
        // SAFETY: a slot begins with its value; its arena is there as long as it has a holder.
        unsafe {
            let arena = (*value.cast::<Slot<V>>().as_ptr()).place.arena;
            &(*arena.cast::<Arena<V, L>>().as_ptr()).last
        }
    }

    /// Gives a value back, and with the last one, when there is no handle any more, frees the arena. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// `value` was [taken](Self::take) from an arena of these types; the caller, its one holder, leaves it alone from now on.
    #[inline]
    pub(crate) unsafe fn give_back(value: NonNull<V>) {
        let slot = value.cast::<Slot<V>>();
        // SAFETY: a slot begins with its value, and its arena is there as long as it has a holder: up to the push.
        let (place, pushed) = unsafe {
            let place = NonNull::new_unchecked(&raw mut (*slot.as_ptr()).place);
            let (index, arena) = ((*place.as_ptr()).index, (*place.as_ptr()).arena);
            let stack = &(*arena.as_ptr()).stack;
            (place, stack.push(index, &(*place.as_ptr()).link, false))
        };
        if pushed.is_err() {
            // SAFETY: nothing was done, so the caller is the holder still.
            unsafe { give_back_slowly(place) };
        }
    }
}

/// Gives a slot back that somebody waits for, or that its arena waits for to be freed.
///
/// # Safety
///
/// As for [`Handle::give_back`], of the slot whose place this is.
#[cold]
#[inline(never)]
unsafe fn give_back_slowly(place: NonNull<Place>) {
    // SAFETY: the arena is there as long as the slot has a holder.
    let (arena, index) = unsafe { ((*place.as_ptr()).arena, (*place.as_ptr()).index) };
    // A handle for the time of the announcement: without one the arena may go as soon as the slot is pushed. Who waits has one.
    let more = |handles: usize| (handles > 0).then(|| handles + 1);
    // SAFETY: as above; the count is atomic.
    let counted = unsafe {
        let handles = &(*arena.as_ptr()).handles;
        handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
    };
    // SAFETY: as above: the arena is there up to the push.
    let pushed = unsafe {
        (*arena.as_ptr())
            .stack
            .push(index, &(*place.as_ptr()).link, true)
    };
    // SAFETY: the arena is there, as long as the handle that was counted; or the stack is closed, of which this slot was missing.
    unsafe {
        match pushed {
            // Without a handle nobody waits, and the arena is not touched again.
            Ok(()) if counted.is_err() => return,
            Ok(()) => arena.as_ref().announce(),
            Err(NotPushed::Closed | NotPushed::Awaited) => Core::count_off(arena, u32::MAX),
        }
        if counted.is_ok() {
            Core::one_less(arena);
        }
    }
}

impl<V, L> Clone for Handle<V, L> {
    fn clone(&self) -> Self {
        self.core().handles.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: counted.
        Self { arena: self.arena }
    }
}

impl<V, L> Drop for Handle<V, L> {
    fn drop(&mut self) {
        // SAFETY: by the invariant it is counted, and it is gone after this.
        unsafe { Core::one_less(self.arena.cast()) };
    }
}
