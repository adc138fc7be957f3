//! Arenas: a fixed number of slots in one allocation, which are made once and taken again and again. An arena has a stack of its vacant
//! slots, and threads can wait for one. Stands for a lookaside list with a bound.
//!
//! An arena stays until its last handle is gone and its last slot has come back. To take a slot counts nothing, so taking one and
//! giving it back are one atomic exchange each. The last handle closes the stack and notes how many slots are missing. Each of those
//! finds the stack closed and counts itself off. The last one frees the arena.

use core::alloc::Layout;
use core::convert::Infallible;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::num::NonZero;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::time::Duration;

use crate::error::{Error, Memory};
use crate::irql::{MayWait, may_wait};
use crate::memory::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use crate::memory::stack::{MOST_NUMBERS, NotPushed, Stack};
use crate::memory::{self, Owned, Uninit};
use crate::system::Event;
use crate::time::Deadline;

/// A slot of an arena, with its value.
///
/// # Invariants
///
/// It is number `index` of its arena, whose values are `V`. It is in the stack of vacant slots, or has one holder, who has the value.
/// `link` is the stack's.
#[repr(C)]
struct Slot<V> {
    value: V,
    place: SlotPlace,
}

/// The part of a slot that says where it belongs.
struct SlotPlace {
    arena: Share,
    index: u32,
    link: AtomicU32,
}

/// An arena: its slots, and a value that is dropped last.
///
/// # Invariants
///
/// Its slots are [`Slot<V>`](Slot), with room for `depth`, of which the first `made` are initialised. While there are handles, or
/// slots with holders, all of this is there, and `last` initialised.
#[repr(C)]
struct Arena<V, L> {
    core: Core,
    last: MaybeUninit<L>,
    values: PhantomData<V>,
}

/// The part of an arena that does not depend on the types of its values. A driver has the code for it once.
///
/// # Invariants
///
/// It begins an [`Arena`] with an [owner](Owned), of the types that `shape` is of. `free` is for it.
#[repr(C)]
struct Core {
    // First, and together: what each taking and giving back needs.
    slots: Owned<()>,
    stack: Stack<AtomicU64>,
    depth: u32,
    made: u32,
    shape: Shape,
    free: Free,
    handles: AtomicUsize,
    /// How many slots are missing, once the stack is closed.
    missing: AtomicU32,
    /// How many threads wait.
    waiting: AtomicU32,
    /// Set for one waiter, when a slot has come back that may be taken.
    available: Event,
    /// Set for one waiter, when a slot has come back that may be the last.
    idle: Event,
}

/// The layout of an arena and its slots, which depends on their types.
///
/// # Invariants
///
/// An [`Arena`] has `arena` bytes; each slot has `size` bytes, its [`SlotPlace`] `place` from where it begins. Neither wants more alignment
/// than the pool gives.
#[derive(Clone, Copy)]
struct Shape {
    arena: usize,
    size: usize,
    place: usize,
}

/// [`free`] for the types of an arena. It is not part of the [`Shape`], which is a constant: the constant would have to be relocated.
type Free = unsafe fn(NonNull<Core>);

impl Shape {
    /// The shape of an arena of these types. Does not compile for types that want more alignment than the pool gives.
    const fn of<V, L>() -> Self {
        let _ = memory::layout::<Slot<V>>();
        // INVARIANT: the arena and its slots are laid out like this.
        Self {
            arena: memory::layout::<Arena<V, L>>().size(),
            size: size_of::<Slot<V>>(),
            place: offset_of!(Slot<V>, place),
        }
    }
}

/// The place of a slot of an arena of these values, whose slots these are.
#[inline]
fn slot<V>(slots: *mut Slot<V>, index: u32) -> NonNull<Slot<V>> {
    // SAFETY: by the invariant of the arena the slots are of that type; callers give the number of one for which there is room.
    unsafe { NonNull::new_unchecked(slots.add(index as usize)) }
}

impl<V> Slot<V> {
    /// Where the `place` of a slot lies.
    #[inline]
    const fn place(slot: NonNull<Self>) -> *mut SlotPlace {
        slot.as_ptr()
            .wrapping_byte_add(offset_of!(Self, place))
            .cast()
    }
}

/// The place of a slot that is made.
///
/// # Invariants
///
/// The slot is there as long as `'s`.
#[derive(Clone, Copy)]
struct MadePlace<'s>(*const SlotPlace, PhantomData<&'s SlotPlace>);

impl<'s> MadePlace<'s> {
    #[inline]
    const fn at(place: *const SlotPlace) -> Self {
        Self(place, PhantomData)
    }

    #[inline]
    fn get(self) -> &'s SlotPlace {
        // SAFETY: by the invariant the place is there; what changes in it is atomic.
        unsafe { &*self.0 }
    }
}

impl Core {
    /// The link of a slot that is made, by the number of the slot.
    fn link(&self, index: u32) -> &AtomicU32 {
        let offset = index as usize * self.shape.size + self.shape.place;
        let place = self.slots.behind::<SlotPlace>().wrapping_byte_add(offset);
        // INVARIANT: numbers in the stack are those of slots that are made.
        &MadePlace::at(place).get().link
    }

    /// Notifies those who wait that a slot has come back.
    fn announce(&self) {
        self.available.set();
        self.idle.set();
    }

    /// The next slot is made, whose value is initialised. It goes into the stack unless it is taken from the start. `this` is the core
    /// itself.
    #[inline(never)]
    fn made(&mut self, this: Share, filled: &Filled<'_>, taken: bool) {
        let index = self.made;
        let place = SlotPlace {
            // INVARIANT: used by the slot's holder alone, who keeps it.
            arena: this,
            index,
            link: AtomicU32::new(0),
        };
        // SAFETY: by the invariant it is the place of a slot that nobody has yet, in memory of the arena.
        unsafe { filled.place.write(place) };
        self.made = index + 1;
        if !taken {
            // It goes into the stack, which is neither closed nor awaited.
            let _ = self
                .stack
                .push(index, &MadePlace::at(filled.place).get().link, true);
        }
    }
}

/// A pointer to an arena, by somebody who keeps it.
///
/// # Invariants
///
/// It accounts for one of the arena's `handles`; or for a slot that is not in the stack; or, once there are no handles, for the missing
/// slots. The arena is there as long as this is used.
struct Share(NonNull<Core>);

impl Deref for Share {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        // SAFETY: by the invariant the arena is there; what changes in it is atomic.
        unsafe { self.0.as_ref() }
    }
}

impl Share {
    /// Counts another handle.
    fn another(&self) -> Self {
        self.handles.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: counted.
        Self(self.0)
    }

    /// Counts a handle off. IRQL: `<= DISPATCH_LEVEL`.
    fn one_less(this: Self) {
        if this.handles.fetch_sub(1, Ordering::Release) == 1 {
            // INVARIANT: it accounts for the missing slots from here on.
            Self::close(this);
        }
    }

    /// Closes the stack, when the last handle is gone.
    #[cold]
    #[inline(never)]
    fn close(this: Self) {
        fence(Ordering::Acquire);
        let core: &Core = &this;
        let vacant = core.stack.close(core.made, |index| core.link(index));
        let missing = core.made - vacant;
        Self::count_off(this, missing);
    }

    /// Adds to the number of missing slots: -1 for one that has come back. Frees the arena when none is missing.
    fn count_off(this: Self, change: u32) {
        let left = this
            .missing
            .fetch_add(change, Ordering::AcqRel)
            .wrapping_add(change);
        if left == 0 {
            fence(Ordering::Acquire);
            let (free, Self(core)) = (this.free, this);
            // SAFETY: the last of them sees 0: those that came before the handle went were counted below it. By the invariant it is an
            // arena of the type that this is for, which nobody uses any more.
            unsafe { free(core) };
        }
    }
}

/// Frees an arena: drops its values, frees its memory, and drops `last`.
///
/// # Safety
///
/// It is the core of an arena of these types. All slots that were made have come back, nobody has a handle, and it is not used again.
#[cold]
unsafe fn free<V, L>(core: NonNull<Core>) {
    // SAFETY: the caller gives the arena away, of which what goes last is initialised.
    let (arena, last) = unsafe {
        let arena = Owned::from_raw(core.cast::<Arena<V, L>>());
        let last = arena.last.assume_init_read();
        (arena, last)
    };
    // Dropped when everything else is gone, also when a value's code unwinds.
    let _last = last;
    drop(arena);
}

/// Drops the values. Their slots go with the core.
impl<V, L> Drop for Arena<V, L> {
    fn drop(&mut self) {
        /// The values that are not dropped yet: those from `next` on.
        ///
        /// # Invariants
        ///
        /// The slots are this one's alone, of this type, and initialised from `next` on up to `made`.
        struct Undropped<'a, V> {
            core: &'a Core,
            next: u32,
            values: PhantomData<V>,
        }

        impl<V> Undropped<'_, V> {
            fn drop_all(&mut self) {
                while self.next < self.core.made {
                    let slot = slot::<V>(self.core.slots.behind(), self.next).cast::<V>();
                    // INVARIANT: counted before, because its code may unwind.
                    self.next += 1;
                    // SAFETY: by the invariant it is initialised, and dropped once. A slot begins with its value.
                    unsafe { slot.drop_in_place() };
                }
            }
        }

        impl<V> Drop for Undropped<'_, V> {
            fn drop(&mut self) {
                // The values behind one whose code has unwound.
                self.drop_all();
            }
        }

        // INVARIANT: by that of the arena, which is being dropped.
        let mut rest = Undropped::<V> {
            core: &self.core,
            next: 0,
            values: PhantomData,
        };
        rest.drop_all();
    }
}

/// Allocates an arena of a shape and its slots, and initialises its core, with one handle and no slot made. `free` is for the types that
/// the shape is of.
#[inline(never)]
fn new_core(shape: &Shape, free: Free, depth: u32) -> Option<NonNull<Core>> {
    if depth > MOST_NUMBERS {
        return None;
    }
    let slots = Layout::from_size_align(shape.size.checked_mul(depth as usize)?, 1).ok()?;
    let slots = Uninit::reserve_with(slots)?.fill(());
    let core = memory::allocate_bytes(NonZero::new(shape.arena)?)?.cast::<Core>();
    // SAFETY: freshly allocated nonpaged memory for an arena, which begins with a core. The events stay there.
    unsafe {
        core.write(Core {
            slots,
            stack: Stack::new(AtomicU64::new(0)),
            depth,
            made: 0,
            shape: *shape,
            free,
            handles: AtomicUsize::new(1),
            missing: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            available: Event::room(),
            idle: Event::room(),
        });
        Event::initialise(&raw mut (*core.as_ptr()).available, false);
        Event::initialise(&raw mut (*core.as_ptr()).idle, false);
        Some(core)
    }
}

/// An arena that is being filled.
///
/// # Invariants
///
/// `last` of the arena is not initialised.
pub(crate) struct FillingArena<V, L> {
    arena: Owned<Arena<V, L>>,
}

impl<V, L> FillingArena<V, L> {
    /// Room for `depth` values. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoOperations`] for a depth of 0, [`Error::NoMemory`].
    pub(crate) fn new(depth: u32) -> Result<Self, Error> {
        if depth == 0 {
            return Err(Error::NoOperations);
        }
        let core = new_core(const { &Shape::of::<V, L>() }, free::<V, L>, depth);
        let core = core.ok_or(Error::NoMemory(Memory::Irp))?;
        // SAFETY: of that shape, freshly allocated; but for the core nothing of it need be initialised.
        // INVARIANT: room for `depth`, none of them made.
        let arena = unsafe { Owned::from_raw(core.cast()) };
        Ok(Self { arena })
    }

    /// Makes the next value, unless all are made.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(crate) fn add<E>(
        &mut self,
        make: impl for<'x> FnOnce(Vacant<'x, V, L>) -> Result<Filled<'x>, E>,
    ) -> Result<(), E> {
        self.make(false, make).map(|_| ())
    }

    /// Adds a value. Drops it when all are made.
    pub(crate) fn push(&mut self, value: V) {
        let Ok(()) = self.add::<Infallible>(|vacant| Ok(vacant.fill(value)));
    }

    /// Makes the next value, unless all are made, and gives its place: when all are made, the end of the slots.
    fn make<E>(
        &mut self,
        taken: bool,
        make: impl for<'x> FnOnce(Vacant<'x, V, L>) -> Result<Filled<'x>, E>,
    ) -> Result<NonNull<V>, E> {
        let core = &self.arena.core;
        let slot = slot::<V>(core.slots.behind(), core.made);
        if core.made < core.depth {
            let filled = make(Vacant {
                slot,
                last: PhantomData,
                name: PhantomData,
            })?;
            // INVARIANT: by that of the filling the arena is this one's alone; its core begins it.
            let this = Share(self.arena.as_raw().cast());
            self.arena.core.made(this, &filled, taken);
        }
        // A slot begins with its value.
        Ok(slot.cast())
    }

    /// Ends the filling: the first handle of the arena, which drops `last` at its end.
    pub(crate) fn finish(self, last: L) -> ArenaHandle<V, L> {
        let mut arena = self.arena;
        arena.last.write(last);
        // INVARIANT: this is the one handle, which was counted when the arena was made.
        ArenaHandle {
            share: Share(arena.into_raw().cast()),
            types: PhantomData,
        }
    }
}

/// An arena for one value.
///
/// # Invariants
///
/// There is room for one value, which is not made.
pub(crate) struct Single<V, L>(FillingArena<V, L>);

impl<V, L> Single<V, L> {
    /// Room for the value. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub(crate) fn new() -> Result<Self, Error> {
        FillingArena::new(1).map(Self)
    }

    /// Makes the value, which is taken from the start: the arena goes when it is given back.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(crate) fn make<E>(
        self,
        last: L,
        make: impl for<'x> FnOnce(Vacant<'x, V, L>) -> Result<Filled<'x>, E>,
    ) -> Result<Taken<V, L>, E> {
        let Self(mut filling) = self;
        let value = filling.make(true, make)?;
        drop(filling.finish(last));
        // INVARIANT: there was room for the value, so it was just made, and taken.
        Ok(Taken::of(value))
    }
}

/// The name of one slot in types: a lifetime that nothing else has.
type Name<'x> = PhantomData<fn(&'x ()) -> &'x ()>;

/// The slot `'x`, whose value is to be made.
///
/// # Invariants
///
/// It is the next of an arena of values `V` with an `L` that is being filled; the memory is there, nonpaged, and nobody else refers to it.
pub(crate) struct Vacant<'x, V, L> {
    slot: NonNull<Slot<V>>,
    last: PhantomData<fn(L)>,
    name: Name<'x>,
}

/// The slot `'x`, whose value is made.
///
/// # Invariants
///
/// It was [`Vacant`], and is initialised but for its `place`.
pub(crate) struct Filled<'x> {
    place: *mut SlotPlace,
    _name: Name<'x>,
}

impl<'x, V, L> Vacant<'x, V, L> {
    /// The place of the value, where it stays.
    pub(crate) const fn value(&self) -> NonNull<V> {
        // A slot begins with its value.
        self.slot.cast()
    }

    /// Moves the value there.
    fn fill(self, value: V) -> Filled<'x> {
        // SAFETY: by the invariant the memory is there for it.
        unsafe { self.value().write(value) };
        // INVARIANT: just written.
        self.filled()
    }

    /// The slot, whose value the caller has made.
    ///
    /// # Safety
    ///
    /// The value at its [place](Self::value) is initialised.
    pub(crate) const unsafe fn assume_filled(self) -> Filled<'x> {
        // INVARIANT: the caller says so.
        self.filled()
    }

    const fn filled(self) -> Filled<'x> {
        Filled {
            place: Slot::place(self.slot),
            _name: self.name,
        }
    }
}

/// Makes `V` invariant: what one holder puts into a value, the next one gets.
type Exchanged<V> = fn(V) -> V;

/// A handle of an arena of values `V`. `L` is dropped when the last handle is gone and the last slot has come back.
///
/// # Invariants
///
/// It accounts for one of the arena's `handles`, and the arena is of these types.
pub(crate) struct ArenaHandle<V, L> {
    share: Share,
    types: PhantomData<(Exchanged<V>, L)>,
}

// SAFETY: values change hands through the stack and are dropped, as `L` is, by whoever is last, on any thread.
unsafe impl<V: Send, L: Send + Sync> Send for ArenaHandle<V, L> {}
// SAFETY: through a shared handle values are taken and given back, by atomic exchange, and `L` is shared.
unsafe impl<V: Send, L: Send + Sync> Sync for ArenaHandle<V, L> {}

impl<V, L> ArenaHandle<V, L> {
    #[inline]
    fn core(&self) -> &Core {
        &self.share
    }

    /// Takes a value, if one is vacant. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn take(&self) -> Option<Taken<V, L>> {
        let core = self.core();
        // Read once: the slots stay where they are.
        let slots = core.slots.behind();
        // INVARIANT: numbers in the stack are those of slots that are made.
        let link = |index| {
            &MadePlace::at(Slot::place(slot::<V>(slots, index)))
                .get()
                .link
        };
        match core.stack.pop(link) {
            // INVARIANT: just taken. A slot begins with its value.
            Some(index) => Some(Taken::of(slot::<V>(slots, index).cast())),
            None => self.take_awaited(),
        }
    }

    /// As [`take`](Self::take), when no value is vacant, or somebody waits for one.
    #[cold]
    #[inline(never)]
    fn take_awaited(&self) -> Option<Taken<V, L>> {
        let core = self.core();
        let index = core.stack.pop_awaited(|index| core.link(index))?;
        // INVARIANT: just taken.
        Some(Taken::of(slot::<V>(core.slots.behind(), index).cast()))
    }

    /// Takes a value, waiting until one is vacant, `limit` runs out, or `other` is set. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongIrql`], [`Error::PoolEmpty`].
    pub(crate) fn take_within(
        &self,
        limit: Option<Duration>,
        other: Option<&Event>,
    ) -> Result<Taken<V, L>, Error> {
        let may_wait = may_wait()?;
        if let Some(taken) = self.take() {
            return Ok(taken);
        }
        let event = &self.core().available;
        self.wait_until(may_wait, event, limit, other, || self.take())
            .ok_or(Error::PoolEmpty)
    }

    /// Waits until all values are vacant, or `limit` runs out; says whether they are. IRQL: `<= APC_LEVEL`.
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

    /// Whether all values are vacant. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn is_idle(&self) -> bool {
        let arena = self.core();
        let count = arena.stack.count(arena.made, |index| arena.link(index));
        count == Some(arena.made)
    }

    /// Waits until `look` gives something, `limit` runs out, or `other` is set. Looks again whenever the event is set.
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
        // Slots that came back together were announced once, some perhaps not at all: the other waiters are to look again.
        arena.announce();
        seen
    }

    /// The number of values, vacant or not.
    #[allow(clippy::misnamed_getters)]
    pub(crate) fn depth(&self) -> u32 {
        let core = self.core();
        core.made
    }
}

/// The holder of a slot, by its place.
///
/// # Invariants
///
/// The slot is taken, and not given back as long as this is used. So its arena is there.
struct SlotHolder<'h>(MadePlace<'h>);

impl Deref for SlotHolder<'_> {
    type Target = SlotPlace;

    #[inline]
    fn deref(&self) -> &SlotPlace {
        self.0.get()
    }
}

impl SlotHolder<'_> {
    /// Gives the slot back.
    #[inline]
    fn give_back(self) {
        // Once it is pushed, the slot is not touched any more.
        let pushed = self.arena.stack.push(self.index, &self.link, false);
        if pushed.is_err() {
            self.give_back_slowly();
        }
    }

    /// As [`give_back`](Self::give_back), when somebody waits for a slot, or the stack is closed.
    #[cold]
    #[inline(never)]
    fn give_back_slowly(self) {
        let core: &Core = &self.arena;
        let arena = self.arena.0;
        // A handle keeps the arena until the announcement is done: without one it may go as soon as the slot is pushed. Who waits has one.
        let more = |handles: usize| (handles > 0).then(|| handles + 1);
        let counted = core
            .handles
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // INVARIANT: counted.
        let counted = counted.is_ok().then_some(Share(arena));
        let pushed = core.stack.push(self.index, &self.link, true);
        match (pushed, &counted) {
            // Without a handle nobody waits. The arena is not touched again.
            (Ok(()), None) => return,
            (Ok(()), Some(counted)) => counted.announce(),
            // INVARIANT: the stack is closed, and this slot was missing.
            (Err(NotPushed), _) => {
                Share::count_off(Share(arena), u32::MAX);
            }
        }
        if let Some(counted) = counted {
            Share::one_less(counted);
        }
    }
}

/// An owner of a value of an arena with an `L`. Dropping it gives the value back, and frees the arena with the last value when no handle is
/// left, at any IRQL up to `DISPATCH_LEVEL`.
///
/// # Invariants
///
/// The value was taken from an arena of these types, and this is its one holder.
pub(crate) struct Taken<V, L = Exchangeable> {
    value: NonNull<V>,
    owned: PhantomData<(Exchanged<V>, L)>,
}

// SAFETY: it is the value's one holder, and so sent with it. The last one drops the values and `L`, on whatever thread.
unsafe impl<V: Send, L: Send + Sync> Send for Taken<V, L> {}
// SAFETY: shared, it gives out the value and `L` as shared.
unsafe impl<V: Sync, L: Sync> Sync for Taken<V, L> {}

impl<V, L> Taken<V, L> {
    #[inline]
    const fn of(value: NonNull<V>) -> Self {
        // INVARIANT: the callers say so.
        Self {
            value,
            owned: PhantomData,
        }
    }

    /// The owner of a value, by its place.
    ///
    /// # Safety
    ///
    /// The place came from [`into_raw`](Self::into_raw) of an owner with these types, whose value nobody owns; or it is the
    /// [place](Self::as_raw) of an owner that is not used as long as the result exists, and the result is not dropped.
    #[inline]
    pub(crate) const unsafe fn from_raw(value: NonNull<V>) -> Self {
        // INVARIANT: by the contract of this function.
        Self::of(value)
    }

    /// The value's place. The value is not given back.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<V> {
        ManuallyDrop::new(self).value
    }

    /// The value's place.
    #[inline]
    pub(crate) const fn as_raw(&self) -> NonNull<V> {
        self.value
    }

    /// The holder of the slot.
    #[inline]
    const fn holder(&self) -> SlotHolder<'_> {
        // INVARIANT: by the invariant the slot is taken, and is not given back as long as this is borrowed, unless by that. A slot begins
        // with its value.
        SlotHolder(MadePlace::at(Slot::<V>::place(self.value.cast())))
    }

    /// The `last` of the arena.
    pub(crate) fn last(&self) -> &L {
        let arena = self.holder().arena.0.cast::<Arena<V, L>>();
        // SAFETY: by the invariant the arena has these types. It is there, with what goes last initialised, because this is a holder.
        unsafe { (*arena.as_ptr()).last.assume_init_ref() }
    }
}

impl<V, L> Deref for Taken<V, L> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        // SAFETY: by the invariant the value is this holder's, which is borrowed.
        unsafe { self.value.as_ref() }
    }
}

/// The `last` of an arena whose values need not stay as they were made, nor at their places: their holders may change and exchange them.
pub(crate) struct Exchangeable;

impl<V> DerefMut for Taken<V, Exchangeable> {
    #[inline]
    fn deref_mut(&mut self) -> &mut V {
        // SAFETY: by the invariant the value is this holder's, which is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<V, L> Drop for Taken<V, L> {
    #[inline]
    fn drop(&mut self) {
        // By the invariant this is the value's one holder, and gone after this.
        self.holder().give_back();
    }
}

impl<V, L> Clone for ArenaHandle<V, L> {
    fn clone(&self) -> Self {
        Self {
            share: self.share.another(),
            types: PhantomData,
        }
    }
}

impl<V, L> Drop for ArenaHandle<V, L> {
    fn drop(&mut self) {
        // INVARIANT: counted; it is gone after this.
        Share::one_less(Share(self.share.0));
    }
}
