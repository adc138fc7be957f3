//! The block of an operation, and [`Idle`]: one that is not in flight.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::task::{RawWakerVTable, Waker};

use wsk_sys::{IO_STACK_LOCATION, IRP, IoInitializeIrp, IoSizeOfIrp};

use crate::error::{Error, Memory};
use crate::irp::answer::Answer;
use crate::irp::arguments::{Arguments, Lock, Places};
use crate::irp::observer::Observer;
use crate::irp::outcome::Outcome;
use crate::irp::state::State;
use crate::memory;
use crate::memory::atomic::{AtomicPtr, AtomicU32, Cell, Ordering};
use crate::memory::event::Event;

/// An IRP with room for its one stack location behind it.
#[repr(C)]
struct Irp {
    irp: IRP,
    stack: [IO_STACK_LOCATION; 1],
}

const _: () = assert!(size_of::<Irp>() >= IoSizeOfIrp(1) as usize);
const _: () = assert!(core::mem::offset_of!(Irp, stack) == size_of::<IRP>());

/// What every block begins with.
///
/// # Invariants
///
/// The block is nonpaged and 16-aligned. While its [`State`] is at rest only the holder touches it. While the IRP is in flight the
/// provider has the IRP and `arguments`; the holder touches only `state`, the waker while none is announced, and `event`;
/// the routine touches what the state gives it.
#[repr(C)]
pub(crate) struct Header {
    irp: Cell<Irp>,
    pub(super) state: State<AtomicU32>,
    pub(super) event: Event,
    /// Empty unless a waker is announced, or its holder waits.
    pub(super) waker: Cell<Option<Waker>>,
    /// The waker that was announced last: the holder's, only to be compared with.
    pub(super) announced: core::cell::Cell<Option<(*const (), *const RawWakerVTable)>>,
    /// What the call returned: the holder's.
    pub(super) answer: core::cell::Cell<Answer>,
    /// Told when the IRP has completed, after the state was: it may outlive the block.
    pub(super) observer: Cell<Option<Observer>>,
    /// What becomes of a block that was left to the routine.
    pub(super) discard: Cell<Discard>,
    /// What becomes of the memory of a block that nobody has.
    give_back: GiveBack,
    /// What keeps the driver while the routine of an operation without observer wakes somebody.
    pub(super) hold: Option<Hold>,
    /// What the buffer is locked by, apart from the arguments because they point at it.
    locked: Cell<Lock>,
    arguments: Cell<Arguments>,
}

/// Ends what a completed block, which nobody else has, carries, and gives the block back.
pub(crate) type Discard = unsafe fn(NonNull<Header>);

/// Frees the memory of a block at rest that nobody has, or lets others have it.
pub(crate) type GiveBack = unsafe fn(NonNull<Header>);

/// Keeps the driver from being unloaded until what it gives is told. Called by the routine with a block that is there: its holder
/// has not seen the completion, or has left it to the routine.
pub(crate) type Hold = unsafe fn(NonNull<Header>) -> Observer;

/// A block with room for a payload of this type.
#[repr(C)]
pub(crate) struct Block<P> {
    pub(super) header: Header,
    payload: Cell<MaybeUninit<P>>,
}

impl Header {
    /// The place of the IRP.
    #[inline]
    pub(super) fn irp(&self) -> *mut IRP {
        self.irp.place().cast().as_ptr()
    }

    /// What the completed IRP says.
    ///
    /// # Safety
    ///
    /// It has completed, and nobody else has the IRP, but whoever still asks to cancel it.
    #[inline]
    pub(super) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: the caller has the IRP.
        let io_status = unsafe { (*self.irp()).IoStatus };
        Outcome {
            status: io_status.status(),
            information: io_status.Information,
        }
    }
}

/// Frees a block that came from the pool by itself.
///
/// # Safety
///
/// The block came from `allocate`, and nobody uses it any more.
unsafe fn free_heap(block: NonNull<Header>) {
    // SAFETY: the caller keeps the same contract.
    unsafe { memory::free(block.cast()) };
}

/// Allocates and initialises a block of this layout, which is that of some [`Block`]. Out of line: where it matters there is one
/// already.
#[cold]
#[inline(never)]
fn new_block(layout: Layout) -> Option<NonNull<Block<()>>> {
    let block = memory::allocate(layout)?.cast();
    // SAFETY: freshly allocated nonpaged pool, in blocks that are aligned to 16 bytes, which may be freed as such. Of a block only the
    // header is initialised, with which all of them begin.
    unsafe { initialise(block.cast(), free_heap, None) };
    Some(block)
}

/// Initialises the header of a block, at rest; the block is without a payload.
///
/// # Safety
///
/// `header` begins nonpaged memory with the layout of a [`Block`], aligned to 16, which nothing else refers to, and where it stays.
/// `give_back` and `hold` may be called as their types say.
#[inline(never)]
pub(crate) unsafe fn initialise(header: NonNull<Header>, give_back: GiveBack, hold: Option<Hold>) {
    let header = header.as_ptr();
    // SAFETY: the caller gives the memory. All-zero bytes are valid for the IRP and the arguments, which are C's, and mean at rest
    // for the state; the members for which they are not are written here before anything reads them.
    unsafe {
        header.write_bytes(0, 1);
        (&raw mut (*header).state).write(State::default());
        (&raw mut (*header).waker).write(Cell::new(None));
        (&raw mut (*header).announced).write(core::cell::Cell::new(None));
        (&raw mut (*header).answer).write(core::cell::Cell::new(Answer::default()));
        (&raw mut (*header).observer).write(Cell::new(None));
        (&raw mut (*header).discard).write(Cell::new(give_back));
        (&raw mut (*header).give_back).write(give_back);
        (&raw mut (*header).hold).write(hold);
        (*header).irp.with_mut(|irp| {
            IoInitializeIrp(irp.cast(), IoSizeOfIrp(1), 1);
        });
        Event::initialise(&raw mut (*header).event, true);
    }
}

impl<P> Block<P> {
    /// The place of the payload.
    #[inline]
    pub(super) fn payload(&self) -> NonNull<P> {
        self.payload.place().cast()
    }
}

/// What of a block at rest is its holder's to change. What the buffer is locked by is not among it: it is pointed at by parameters.
pub(super) struct Parts<'i> {
    arguments: &'i mut Arguments,
    discard: &'i mut Discard,
    pub(super) observer: &'i mut Option<Observer>,
}

/// An operation that is not in flight. Dropping it gives the block back; a payload that was written into it is not dropped.
///
/// # Invariants
///
/// `block` is an initialised block of this payload type, at rest, which nothing else touches as long as this exists.
pub struct Idle<P> {
    block: NonNull<Block<P>>,
    payload: PhantomData<P>,
}

// SAFETY: by the invariant it is memory that its one holder may use on any thread; whatever payload is in it is its holder's.
unsafe impl<P> Send for Idle<P> {}

impl<P> Idle<P> {
    /// Allocates an operation. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let block = new_block(memory::layout::<Block<P>>()).ok_or(Error::NoMemory(Memory::Irp))?;
        // INVARIANT: initialised with the layout of such a block, at rest, and ours alone.
        Ok(Self::of(block.cast()))
    }

    #[inline]
    const fn of(block: NonNull<Block<P>>) -> Self {
        Self {
            block,
            payload: PhantomData,
        }
    }

    /// The operation of a block that is part of something larger.
    ///
    /// # Safety
    ///
    /// `block` was initialised, is at rest, and is touched by nothing else until the result, and what it becomes, is gone.
    #[inline]
    pub(crate) const unsafe fn from_block(block: NonNull<Block<P>>) -> Self {
        Self::of(block)
    }

    /// The block, which is not given back.
    #[inline]
    pub(crate) fn into_block(self) -> NonNull<Block<P>> {
        ManuallyDrop::new(self).block
    }

    #[inline]
    fn block(&self) -> &Block<P> {
        // SAFETY: by the invariant the block is there as long as `self`; what changes in it is in cells.
        unsafe { self.block.as_ref() }
    }

    /// What the block begins with.
    #[inline]
    pub(super) fn header(&self) -> &Header {
        &self.block().header
    }

    /// The place of the IRP, which is the block's own.
    #[inline]
    pub(super) const fn as_irp(&self) -> NonNull<IRP> {
        self.block.cast()
    }

    #[inline]
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let header = self.header();
        // SAFETY: by the invariant nothing else touches the block, which is borrowed exclusively.
        unsafe {
            Parts {
                arguments: header.arguments.with_mut(|arguments| &mut *arguments),
                discard: header.discard.with_mut(|discard| &mut *discard),
                observer: header.observer.with_mut(|observer| &mut *observer),
            }
        }
    }

    /// What the parameters of the next request point at, or those of the last pointed at.
    #[inline]
    pub(crate) fn arguments(&mut self) -> &mut Arguments {
        self.parts().arguments
    }

    /// What the buffer is locked by.
    #[inline]
    pub(crate) fn locked(&mut self) -> &mut Lock {
        // SAFETY: by the invariant nothing else touches the block, which is borrowed exclusively.
        self.header()
            .locked
            .with_mut(|locked| unsafe { &mut *locked })
    }

    /// The observer of a request that is over, or was not made, if it was not told.
    pub(super) fn take_observer(&mut self) -> Option<Observer> {
        self.parts().observer.take()
    }

    /// Where the arguments are, which stay as long as the block.
    ///
    /// # Safety
    ///
    /// `'x` stands for this operation alone; the result is used for its next request.
    #[inline]
    pub(crate) unsafe fn places<'x>(&self) -> Places<'x> {
        // SAFETY: the arguments are a member of the block, which stays for its next request, and is used for nothing else.
        unsafe { Places::of(self.header().arguments.place()) }
    }

    /// What the IRP says of the last request that has completed.
    #[inline]
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome_and_cancelled().0
    }

    /// The same, with whether the provider was asked to cancel the request, which has completed all the same.
    #[inline]
    pub(crate) fn outcome_and_cancelled(&self) -> (Outcome, bool) {
        // SAFETY: by the invariant nothing else touches the IRP. What was asked before it completed is there until it is reused.
        unsafe { (self.header().outcome(), (*self.header().irp()).Cancel != 0) }
    }

    /// The place of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        self.block().payload()
    }

    /// What becomes of the block when it is left to the routine.
    ///
    /// # Safety
    ///
    /// `discard` may be called with the block once it has completed, when nobody else has it; the payload is there then.
    #[inline]
    pub(crate) unsafe fn set_discard(&mut self, discard: Discard) {
        *self.parts().discard = discard;
    }
}

impl<P> Drop for Idle<P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant nothing else touches the block, which is at rest, and is given back this once.
        unsafe { (self.header().give_back)(self.block.cast()) };
    }
}

/// Places for idle operations, from which any thread may take one and put one back.
///
/// # Invariants
///
/// Each pointer is null, or the block of an [`Idle`] that was put here and not taken since.
pub struct Spares<const N: usize> {
    blocks: [AtomicPtr<Block<()>>; N],
}

impl<const N: usize> Spares<N> {
    /// Places with these operations.
    pub(crate) fn of(operations: [Idle<()>; N]) -> Self {
        // INVARIANT: they were idle, and are here from now on.
        Self {
            blocks: operations.map(|operation| AtomicPtr::new(operation.into_block().as_ptr())),
        }
    }

    /// Places with nothing in them.
    pub(crate) fn none() -> Self {
        // INVARIANT: null.
        Self {
            blocks: [(); N].map(|()| AtomicPtr::new(core::ptr::null_mut())),
        }
    }

    /// Takes all that is in others, as far as there is a place for it.
    pub(crate) fn put_all(&self, others: &Self) {
        while let Some(operation) = others.take() {
            self.put(operation);
        }
    }

    /// Takes an operation, if one is there. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn take(&self) -> Option<Idle<()>> {
        let (first, others) = self.blocks.split_first()?;
        match take_from(first) {
            Some(operation) => Some(operation),
            None => take_from_any(others),
        }
    }

    /// Puts an operation here; if there is no place for it, one is freed. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn put(&self, operation: Idle<()>) {
        let Some((first, others)) = self.blocks.split_first() else {
            return;
        };
        let before = first.swap(operation.into_block().as_ptr(), Ordering::AcqRel);
        if let Some(before) = NonNull::new(before) {
            // INVARIANT: what was put here was idle, and no longer is here.
            put_elsewhere(others, Idle::of(before));
        }
    }
}

#[inline]
fn take_from(place: &AtomicPtr<Block<()>>) -> Option<Idle<()>> {
    let block = place.swap(core::ptr::null_mut(), Ordering::Acquire);
    // INVARIANT: what was put there was idle, and no longer is there.
    NonNull::new(block).map(Idle::of)
}

#[cold]
#[inline(never)]
fn take_from_any(places: &[AtomicPtr<Block<()>>]) -> Option<Idle<()>> {
    places.iter().find_map(take_from)
}

#[cold]
#[inline(never)]
fn put_elsewhere(places: &[AtomicPtr<Block<()>>], operation: Idle<()>) {
    let mut block = operation.into_block().as_ptr();
    for place in places {
        block = place.swap(block, Ordering::AcqRel);
        if block.is_null() {
            return;
        }
    }
    // INVARIANT: what was put there was idle, and no longer is there.
    drop(NonNull::new(block).map(Idle::of));
}

impl<const N: usize> Drop for Spares<N> {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}
