//! The block of an operation, and the types that say who has it. All accesses to a block are in this file. The files beside it say when an
//! access happens, and in which order.
//!
//! | type | who has the block |
//! |---|---|
//! | [`Idle`] | its holder, while nothing is in flight |
//! | [`Flight`] | its holder, who shares it with the provider and the completion routine |
//! | [`CompletedFlight`] | the holder of a flight whose IRP has completed, or the routine when no holder is left |
//! | [`Completing`] | the completion routine, before it publishes the completion |
//! | [`Published`] | the completion routine, after it has published the completion: the part that the state leaves it |

use core::alloc::Layout;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ops::Deref;
use core::ptr::NonNull;
use core::task::{RawWakerVTable, Waker};

use wsk_sys::{
    CMSGHDR, DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, IoCancelIrp, IoInitializeIrp,
    IoReuseIrp, IoSetCompletionRoutine, IoSizeOfIrp, NTSTATUS, SOCKADDR,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_UNSUCCESSFUL, WSK_BUF, WSK_EVENT_CALLBACK_CONTROL,
};

use crate::error::{Error, Memory};
use crate::irp::answer::Answer;
use crate::irp::arguments::{Arguments, Brand, Lock};
use crate::irp::outcome::Outcome;
use crate::irp::state::{Notify, Retract, State};
use crate::memory;
use crate::memory::arena::{Filled, Taken, Vacant};
use crate::memory::atomic::{AtomicPtr, AtomicU32, Cell, Ordering};
use crate::memory::{Counted, Shared};
use crate::system::Event;

/// An IRP, followed by its one stack location.
#[repr(C)]
struct Irp {
    irp: IRP,
    stack: [IO_STACK_LOCATION; 1],
}

const _: () = assert!(size_of::<Irp>() >= IoSizeOfIrp(1) as usize);
const _: () = assert!(offset_of!(Irp, stack) == size_of::<IRP>());

/// The beginning of every block.
///
/// # Invariants
///
/// The block is nonpaged and 16-aligned. While its [`State`] is at rest only the holder touches it. While the IRP is in flight the provider
/// has the IRP and `arguments`; the holder touches only `state`, `event`, `announced`, `answer`, the waker while none is announced,
/// and `observer` and `discard` of an operation that was made without an observer; the completion routine touches what the state gives it.
#[repr(C)]
pub(crate) struct Header {
    irp: Cell<Irp>,
    pub(super) state: State<AtomicU32>,
    pub(super) event: Event,
    /// Empty unless a waker is announced, or the block's holder waits.
    waker: Cell<Option<Announced>>,
    /// The waker that was announced last. Only the holder uses it, to compare it with others.
    pub(super) announced: core::cell::Cell<Option<(*const (), *const RawWakerVTable)>>,
    /// The answer of the call. Only the holder uses it.
    pub(super) answer: core::cell::Cell<Answer>,
    /// Notified when the IRP has completed, after the state says so. It may outlive the block.
    observer: Cell<Option<Observer>>,
    /// Ends a block that was left to the completion routine.
    discard: Cell<Discard>,
    /// Frees the memory of a block that nobody has, or makes the block available to others.
    give_back: GiveBack,
    /// Keeps the driver loaded while the completion routine of an operation without observer wakes a task.
    hold: Option<Hold>,
    /// The lock of the buffer. It is not one of the arguments, because they point at it.
    locked: Cell<Lock>,
    arguments: Cell<Arguments>,
}

/// A waker, and the function by which the completion routine wakes its task. The function comes with the first waker, so that a driver that
/// polls nothing does not contain it.
struct Announced {
    waker: Waker,
    wake: fn(Waking),
}

/// Ends a completed block that nobody else has, with everything in it, and gives it back.
pub(crate) type Discard = unsafe fn(NonNull<Header>);

/// Frees the memory of a block at rest that nobody has, or makes the block available to others.
pub(crate) type GiveBack = unsafe fn(NonNull<Header>);

/// Returns an observer that keeps the driver from being unloaded until it is notified. The completion routine calls it with a block that is
/// there: its holder has not seen the completion, or has left the block to the routine.
pub(crate) type Hold = unsafe fn(NonNull<Header>) -> Observer;

/// An observer: code that is notified of a completion, once, without holding the operation.
///
/// # Invariants
///
/// `completed` may be called with `context`, once, on any thread at up to `DISPATCH_LEVEL`: everything that the call needs is there until
/// then.
#[must_use = "an observer that is not notified keeps what it has for ever"]
pub(crate) struct Observer {
    completed: unsafe fn(NonNull<c_void>, NTSTATUS),
    context: NonNull<c_void>,
}

impl Observer {
    /// Calls `completed` with `context`.
    ///
    /// # Safety
    ///
    /// `completed` may be called with `context`, once, on any thread at up to `DISPATCH_LEVEL`.
    #[inline]
    pub(crate) const unsafe fn new(
        completed: unsafe fn(NonNull<c_void>, NTSTATUS),
        context: NonNull<c_void>,
    ) -> Self {
        // INVARIANT: by the contract of this function.
        Self { completed, context }
    }

    /// Keeps a reference until the completion, and then passes it to `W`.
    #[inline]
    pub(crate) fn of<W: Notified<T>, T: Counted + Send + Sync>(shared: Shared<T>) -> Self {
        /// # Safety
        ///
        /// `context` came from `Shared::<T>::into_raw` and is used this once, when the request has completed with this status.
        unsafe fn completed<W: Notified<T>, T: Counted>(
            context: NonNull<c_void>,
            status: NTSTATUS,
        ) {
            // SAFETY: the caller passes the reference that `into_raw` turned into the context, this once, and notifies of the completion.
            unsafe { W::notified(Shared::from_raw(context), status) };
        }
        // INVARIANT: the observer owns the reference until it is notified. The reference may be sent, and `W` takes it at any IRQL up to
        // DISPATCH_LEVEL.
        Self {
            completed: completed::<W, T>,
            context: Shared::into_raw(shared),
        }
    }

    /// Notifies of the completion, with the status of the IRP, or with another error if the request could not be made.
    #[inline]
    pub(crate) fn notify(self, status: NTSTATUS) {
        // SAFETY: by the invariant; this is the only time, as it takes the observer.
        unsafe { (self.completed)(self.context, status) };
    }
}

/// Takes back a reference that an observer has kept: the observer of a request that is [made with it](Observer::of) calls this once, at any
/// IRQL up to `DISPATCH_LEVEL`.
pub(crate) trait Notified<T: Counted> {
    /// # Safety
    ///
    /// An observer of this type, which had the reference, is notified: the request has completed with this status, or could not be made.
    unsafe fn notified(shared: Shared<T>, status: NTSTATUS);
}

/// A block with room for a payload of this type.
///
/// # Invariants
///
/// It is initialised, and at rest unless an [`Idle`] or a [`Flight`] was made of it.
#[repr(C)]
pub(crate) struct Block<P> {
    header: Header,
    payload: Cell<MaybeUninit<P>>,
}

// SAFETY: a block at rest is bound to no thread, and carries nothing but what its holder has put there.
unsafe impl<P: Send> Send for Block<P> {}

/// A value of an arena that begins with the block of an operation.
///
/// While the operation is at rest the value is vacant, or has an owner. While it is in flight, nobody has an owner, until the operation has
/// completed and its holder makes one, or the completion routine does.
///
/// # Safety
///
/// The type has the layout of C, and its first member is a [`Block`]. Its values stay in their slots: `Last` is not
/// [`Exchangeable`](memory::arena::Exchangeable). [`hold`](Self::hold) touches nothing that the holder of the operation may change meanwhile.
pub(crate) unsafe trait InArena: Sized {
    /// The part of the arena that is dropped last.
    type Last;

    /// Gives back a value whose operation has completed and has no holder.
    #[inline]
    fn give_back(taken: Taken<Self, Self::Last>) {
        drop(taken);
    }

    /// Keeps the driver loaded while the completion routine wakes a task: the last reference to the arena may go with the value. The
    /// operation may be in flight.
    fn hold(taken: &Taken<Self, Self::Last>) -> Observer;
}

/// Makes the block with which the value of a vacant slot begins. The slot stays vacant until the rest of the value is made.
pub(crate) fn initialise_in<V: InArena>(slot: &Vacant<'_, V, V::Last>) {
    // SAFETY: by the promise of the trait the value begins with a block. The slot is vacant memory for the value, nonpaged, where it stays.
    // Both functions are for values of this type, of an arena with this `Last`.
    unsafe { initialise(slot.value().cast(), give_back::<V>, Some(hold::<V>)) }
}

/// Gives back the value that begins with a block.
///
/// # Safety
///
/// As for [`Discard`] and [`GiveBack`], for a block that begins a `V` of an arena with this `Last`.
unsafe fn give_back<V: InArena>(block: NonNull<Header>) {
    // SAFETY: the caller gives away the block, whose value was taken from such an arena and has no owner.
    V::give_back(unsafe { Taken::from_raw(block.cast()) });
}

/// As [`InArena::hold`].
///
/// # Safety
///
/// As for [`Hold`], for a block that begins a `V` of an arena with this `Last`.
unsafe fn hold<V: InArena>(block: NonNull<Header>) -> Observer {
    // SAFETY: the caller passes the block for this call. Its value was taken from such an arena. This owner is not dropped.
    let taken = ManuallyDrop::new(unsafe { Taken::from_raw(block.cast()) });
    V::hold(&taken)
}

impl<P> Block<P>
where
    Self: InArena,
{
    /// Makes the block of a vacant slot.
    pub(crate) fn fill(slot: Vacant<'_, Self, <Self as InArena>::Last>) -> Filled<'_> {
        initialise_in(&slot);
        // SAFETY: initialised but for the payload, which is only room.
        unsafe { slot.assume_filled() }
    }
}

impl Header {
    /// The place of the IRP.
    #[inline]
    fn irp(&self) -> *mut IRP {
        self.irp.place().cast().as_ptr()
    }
}

/// Frees a block that was allocated from the pool alone, not as part of something larger.
///
/// # Safety
///
/// The block came from `allocate`, and nobody uses it any more.
unsafe fn free_heap(block: NonNull<Header>) {
    // SAFETY: the caller keeps the same contract.
    unsafe { memory::free(block.cast()) };
}

/// Allocates and initialises a block of this layout, which is that of some [`Block`]. Out of line: where speed matters, a block exists
/// already.
#[cold]
#[inline(never)]
fn new_block(layout: Layout) -> Option<NonNull<Block<()>>> {
    let block = memory::allocate(layout)?.cast();
    // SAFETY: freshly allocated nonpaged pool, in blocks that are aligned to 16 bytes, which `free_heap` may free. Only the header is
    // initialised, with which every block begins.
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
unsafe fn initialise(header: NonNull<Header>, give_back: GiveBack, hold: Option<Hold>) {
    let header = header.as_ptr();
    // SAFETY: the caller gives the memory. All-zero bytes are valid for the IRP and the arguments, which are types of C, and mean at rest
    // for the state; the members for which zero bytes are not valid are written here before anything reads them.
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

/// A pointer to a block.
///
/// # Invariants
///
/// The block is initialised, and there as long as this is used.
struct BlockPtr<P>(NonNull<Block<P>>);

impl<P> Clone for BlockPtr<P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for BlockPtr<P> {}

impl<P> Deref for BlockPtr<P> {
    type Target = Block<P>;

    #[inline]
    fn deref(&self) -> &Block<P> {
        // SAFETY: by the invariant the block is there; everything in it that changes is in cells.
        unsafe { self.0.as_ref() }
    }
}

impl<P> BlockPtr<P> {
    /// The block without the type of its payload, for code that is compiled once for all types.
    #[inline]
    const fn erased(self) -> BlockPtr<()> {
        // INVARIANT: all blocks begin with the same header.
        BlockPtr(self.0.cast())
    }

    /// The place of the header, to be given away with the block.
    #[inline]
    const fn as_header(self) -> NonNull<Header> {
        self.0.cast()
    }

    /// The place of the payload.
    #[inline]
    fn payload(self) -> NonNull<P> {
        self.payload.place().cast()
    }
}

/// A block whose IRP is not with the provider.
///
/// # Invariants
///
/// Nobody else touches the IRP, except a thread that still asks to cancel it. Nobody else touches the observer, unless this is the block of a
/// [`Completing`] routine that has none: its holder may be setting one.
struct WithIrp<P>(BlockPtr<P>);

impl<P> WithIrp<P> {
    /// The outcome that the completed IRP contains.
    #[inline]
    fn outcome(&self) -> Outcome {
        let irp = self.0.header.irp();
        // SAFETY: by the invariant the IRP is not with the provider; a thread that asks to cancel it does not touch its status.
        let io_status = unsafe { (*irp).IoStatus };
        Outcome {
            status: io_status.status(),
            information: io_status.Information,
        }
    }

    /// Takes the observer, if there is one.
    #[inline]
    fn take_observer(&mut self) -> Option<Observer> {
        let observer = &self.0.header.observer;
        // SAFETY: by the invariant nobody else touches it.
        observer.with_mut(|observer| unsafe { (*observer).take() })
    }
}

/// An operation that is not in flight. Dropping it gives the block back; a payload that was written into it is not dropped.
///
/// # Invariants
///
/// `block` is of this payload type, at rest, and nothing else touches it as long as this exists.
pub struct Idle<P> {
    block: WithIrp<P>,
    payload: PhantomData<P>,
}

// SAFETY: by the invariant it is memory that its one holder may use on any thread; the payload, if there is one, belongs to the holder.
unsafe impl<P> Send for Idle<P> {}

impl<P> Idle<P> {
    /// Allocates an operation. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let block = new_block(memory::layout::<Block<P>>()).ok_or(Error::NoMemory(Memory::Irp))?;
        // INVARIANT: initialised with the layout of such a block, at rest, and nobody else has it.
        Ok(Self::of(block.cast()))
    }

    #[inline]
    const fn of(block: NonNull<Block<P>>) -> Self {
        Self {
            block: WithIrp(BlockPtr(block)),
            payload: PhantomData,
        }
    }

    /// The operation of a block that is part of a larger structure.
    ///
    /// # Safety
    ///
    /// `block` was initialised, is at rest, and is touched by nothing else until the result, and every value that it is turned into, is
    /// gone.
    #[inline]
    pub(crate) const unsafe fn from_block(block: NonNull<Block<P>>) -> Self {
        Self::of(block)
    }

    /// The operation of a block that was taken from an arena. It goes back there.
    #[inline]
    pub(crate) fn taken(block: Taken<Block<P>, <Block<P> as InArena>::Last>) -> Self
    where
        Block<P>: InArena,
    {
        // INVARIANT: by its own invariant the block is at rest, and its owner is gone.
        Self::of(block.into_raw())
    }

    /// The block. It is not given back.
    #[inline]
    pub(crate) fn into_block(self) -> NonNull<Block<P>> {
        ManuallyDrop::new(self).block.0.0
    }

    /// The header of the block.
    #[inline]
    pub(super) fn header(&self) -> &Header {
        &self.block.0.header
    }

    /// The place of the IRP, which is also the place of the block.
    #[inline]
    pub(super) const fn as_irp(&self) -> NonNull<IRP> {
        self.block.0.0.cast()
    }

    /// The content of a cell of the header.
    #[inline]
    fn cell<T>(&mut self, cell: fn(&Header) -> &Cell<T>) -> &mut T {
        // SAFETY: by the invariant nothing else touches the block, which is borrowed exclusively.
        cell(self.header()).with_mut(|content| unsafe { &mut *content })
    }

    /// The arguments: the parameters of the next request, or of the last one, point at them.
    #[inline]
    pub(crate) fn arguments(&mut self) -> &mut Arguments {
        self.cell(|header| &header.arguments)
    }

    /// The lock of the buffer.
    #[inline]
    pub(crate) fn locked(&mut self) -> &mut Lock {
        self.cell(|header| &header.locked)
    }

    /// Sets the observer, for a completion routine that notifies observers. There must be none left from before.
    #[inline]
    pub(super) fn set_observer(&mut self, observer: Observer) {
        *self.cell(|header| &header.observer) = Some(observer);
    }

    /// The observer of a request that is over, or was not made, if the observer was not notified.
    pub(super) fn take_observer(&mut self) -> Option<Observer> {
        self.block.take_observer()
    }

    /// The place of the arguments, which stay as long as the block.
    ///
    /// # Safety
    ///
    /// `'x` stands for this operation alone; the result is used for its next request.
    #[inline]
    pub(crate) unsafe fn places<'x>(&self) -> Places<'x> {
        // INVARIANT: the arguments are a member of the block, which stays for its next request. By the contract of this function the result
        // is used for that.
        Places {
            arguments: self.header().arguments.place(),
            _operation: Brand::NEW,
        }
    }

    /// The outcome of the last request, which has completed.
    #[inline]
    pub(crate) fn outcome(&self) -> Outcome {
        self.block.outcome()
    }

    /// Sets the outcome of a request that does not go on, though its last IRP has succeeded.
    pub(crate) fn set_outcome(&mut self, outcome: Outcome) {
        let status = IO_STATUS_BLOCK::new(outcome.status, outcome.information);
        self.cell(|header| &header.irp).irp.IoStatus = status;
    }

    /// The outcome, and whether the provider was asked to cancel the request, which may have succeeded all the same.
    #[inline]
    pub(crate) fn outcome_and_cancelled(&mut self) -> (Outcome, bool) {
        // The flag that a cancellation set before the completion stays until the IRP is reused.
        let cancelled = self.cell(|header| &header.irp).irp.Cancel != 0;
        (self.outcome(), cancelled)
    }

    /// The place of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        self.block.0.payload()
    }

    /// Sets the function that ends the block if it is left to the completion routine.
    ///
    /// # Safety
    ///
    /// `discard` may be called with the block once the block has completed and nobody else has it; the payload is there then.
    #[inline]
    pub(crate) unsafe fn set_discard(&mut self, discard: Discard) {
        *self.cell(|header| &header.discard) = discard;
    }

    /// Has the block go back if it is left to the completion routine, as at first.
    #[inline]
    pub(crate) fn go_back_when_left(&mut self) {
        let give_back = self.header().give_back;
        *self.cell(|header| &header.discard) = give_back;
    }

    /// Sets `E` as the end of the block if it is left to the completion routine, for an operation that is launched so.
    #[inline]
    pub(super) fn end_when_left_by<E: Unheld>(&mut self) {
        *self.cell(|header| &header.discard) = E::end;
    }

    /// Makes the IRP ready for its next request, with `R` as its completion routine.
    #[inline]
    pub(super) fn set_routine<R: Routine>(&mut self) {
        let irp = self.as_irp().as_ptr();
        // SAFETY: by the invariant nobody else has the block, which is at rest, and its IRP is initialised with one stack location and not
        // in use. Routine and context stay until the IRP has completed.
        unsafe {
            IoReuseIrp(irp, STATUS_UNSUCCESSFUL);
            IoSetCompletionRoutine(irp, Some(routine::<R>), irp.cast(), true, true, true);
        }
    }

    /// The operation in flight. The callers make sure that its payload is there and its IRP was passed on.
    #[inline]
    pub(super) fn into_flight(self) -> Flight<P> {
        // INVARIANT: the callers make sure of it, and nobody else holds the block.
        Flight::of(BlockPtr(self.into_block()))
    }
}

impl<P> Drop for Idle<P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant nothing else touches the block, which is at rest, and is given back this once.
        unsafe { (self.header().give_back)(self.block.0.as_header()) };
    }
}

/// The place of the [`Arguments`] of the operation `'x`. Parameters are built from it.
///
/// # Invariants
///
/// The arguments are there, and stay until the operation is over.
#[derive(Clone, Copy)]
pub struct Places<'x> {
    arguments: NonNull<Arguments>,
    _operation: Brand<'x>,
}

impl Places<'_> {
    /// The place of all the arguments.
    #[inline]
    pub(crate) const fn arguments(self) -> NonNull<Arguments> {
        self.arguments
    }

    /// The place of a member.
    #[inline]
    const fn at<T>(self, offset: usize) -> NonNull<T> {
        // SAFETY: by the invariant the arguments are there; the callers pass offsets of members.
        unsafe { self.arguments.byte_add(offset) }.cast()
    }

    /// The `WSK_BUF` in the arguments: none, or the rest of the buffer that is lent.
    pub(crate) const fn buffer(self) -> NonNull<WSK_BUF> {
        self.at(Arguments::BUFFER)
    }

    /// The address.
    #[inline]
    pub(crate) const fn address(self) -> NonNull<SOCKADDR> {
        self.at(offset_of!(Arguments, address))
    }

    /// The address's first `length` bytes.
    pub(crate) const fn address_bytes(self, length: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.at(offset_of!(Arguments, address)), length)
    }

    /// The flags of a received datagram.
    #[inline]
    pub(crate) const fn control_flags(self) -> NonNull<u32> {
        self.at(offset_of!(Arguments, control_flags))
    }

    /// The first `length` bytes of control information.
    #[inline]
    pub(crate) const fn control(self, length: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.at(Arguments::SHARED), length)
    }

    /// The room for the first `length` bytes of output.
    pub(crate) const fn output(self, length: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.at(Arguments::SHARED), length)
    }

    /// The room for received control information: its length, and its bytes.
    #[inline]
    pub(crate) const fn control_room(self) -> (NonNull<u32>, NonNull<CMSGHDR>) {
        (
            self.at(Arguments::CONTROL_LENGTH),
            self.at(Arguments::SHARED),
        )
    }

    /// The request to enable or disable events.
    pub(crate) const fn events(self) -> NonNull<[u8]> {
        let events = self.at(Arguments::EVENTS);
        NonNull::slice_from_raw_parts(events, size_of::<WSK_EVENT_CALLBACK_CONTROL>())
    }

    /// The pointer.
    pub(crate) const fn pointer(self) -> NonNull<[u8]> {
        let pointer = self.at(Arguments::EVENTS);
        NonNull::slice_from_raw_parts(pointer, size_of::<usize>())
    }

    /// The first `length` bytes of the value.
    pub(crate) const fn value(self, length: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.at(offset_of!(Arguments, value)), length)
    }
}

/// A request that was made: its IRP is with the provider, or has completed.
///
/// Dropping it leaks block and payload; it is meant to end in [`end`](Self::end) or [`detach`](Self::detach).
///
/// # Invariants
///
/// `block` is in flight or completed, and this is its only holder.
#[must_use]
pub struct Flight<P> {
    block: BlockPtr<P>,
    payload: PhantomData<P>,
}

// SAFETY: holding a flight is holding the payload, and nothing of a block is bound to a thread.
unsafe impl<P: Send> Send for Flight<P> {}

impl<P> Flight<P> {
    #[inline]
    const fn of(block: BlockPtr<P>) -> Self {
        Self {
            block,
            payload: PhantomData,
        }
    }

    /// The header of the block.
    #[inline]
    pub(super) fn header(&self) -> &Header {
        &self.block.header
    }

    /// The header, for a method of this type whose code is compiled once for all payloads.
    #[inline]
    pub(super) fn holder_view(&self) -> HolderView<'_> {
        // INVARIANT: this is the one holder, and stays on one thread while it is borrowed. The methods of a flight make one `HolderView` at a
        // time.
        HolderView(self.header())
    }

    /// Asks the provider to cancel the request. The request still completes, exactly once. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn cancel(&self) {
        // SAFETY: the IRP is initialised, and by the invariant it is neither reused nor freed as long as this exists. If the IRP has
        // completed, and the provider's cancel routine is gone from it, the call only sets a flag.
        unsafe { IoCancelIrp(self.header().irp()) };
    }

    /// The completed flight; if it has not completed, the flight as it is.
    #[inline]
    pub(super) fn completed(self) -> Result<CompletedFlight<P>, Self> {
        if self.header().state.is_completed() {
            // INVARIANT: the provider is done with the IRP, and the routine with the block.
            Ok(CompletedFlight(self))
        } else {
            Err(self)
        }
    }

    /// Leaves a flight to the completion routine. If the flight has completed meanwhile, returns it. Also returns the waker that was
    /// announced.
    #[inline]
    pub(super) fn detach_from_holder(self) -> (Option<CompletedFlight<P>>, Option<Waker>) {
        let (left, waker) = detach_from_holder(self.block.erased());
        // INVARIANT: if it was not left, it has completed.
        ((!left).then_some(CompletedFlight(self)), waker)
    }

    /// The place of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        self.block.payload()
    }

    /// The block, for [`from_raw`](Self::from_raw).
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<c_void> {
        self.block.0.cast()
    }

    /// The flight of a block, in place of the flight that the block was taken from.
    ///
    /// # Safety
    ///
    /// `block` came from [`as_raw`](Self::as_raw) of a flight of the same type that is not used again, or is only looked at as long
    /// as the result exists.
    #[inline]
    pub(crate) const unsafe fn from_raw(block: NonNull<c_void>) -> Self {
        Self::of(BlockPtr(block.cast()))
    }
}

impl Flight<()> {
    /// Sets the observer of a flight that was made without one, and the function that notifies it. The completion routine looks at both only
    /// if the block is left to it.
    pub(super) fn set_observer(&self, observer: Observer) {
        let header = self.header();
        // SAFETY: this is the block's holder. The completion routine of an operation without an observer looks at neither place before the
        // block is left to it.
        unsafe {
            header
                .observer
                .with_mut(|place| place.write(Some(observer)));
            header
                .discard
                .with_mut(|place| place.write(discard_observed));
        }
    }
}

/// Leaves the block of a flight to the completion routine. Returns whether this was in time, and the waker that was announced. If it was in
/// time, the holder must not use the block again. Without the type of the payload, so that the code is compiled once.
#[inline(never)]
fn detach_from_holder(block: BlockPtr<()>) -> (bool, Option<Waker>) {
    // Borrows nothing for the whole call: the block may be gone before `detach` returns.
    // INVARIANT: the caller is the holder of the block.
    let waker = HolderView(&block.header).take_waker();
    (block.header.state.detach(), waker)
}

/// Gives back a block that got its observer after its request was made, and notifies the observer.
///
/// # Safety
///
/// As for [`Discard`], for a block without payload that was allocated from the pool alone.
unsafe fn discard_observed(block: NonNull<Header>) {
    // INVARIANT: the caller gives away the block, which has completed.
    let mut operation = Idle::<()>::of(block.cast());
    let (observer, status) = (operation.take_observer(), operation.outcome().status);
    drop(operation);
    if let Some(observer) = observer {
        observer.notify(status);
    }
}

/// A flight whose IRP has completed.
///
/// # Invariants
///
/// The provider and the completion routine do not use the block any more.
pub(super) struct CompletedFlight<P>(Flight<P>);

impl<P> CompletedFlight<P> {
    /// The operation, with the payload in it.
    #[inline]
    pub(super) fn idle(self) -> Idle<P> {
        // INVARIANT: the flight was the block's one holder.
        Idle::of(self.0.block.0)
    }

    /// Ends the block with everything in it, and gives it back.
    #[inline]
    pub(super) fn discard(self) {
        let block = self.0.block;
        // SAFETY: by the invariant the block has completed and nobody else has it. The flight, with its payload, is gone after this.
        unsafe { (block.header.discard.with(|discard| *discard))(block.as_header()) };
    }
}

/// The header of a flight, for its holder. Without the type of the payload, for code that is compiled once.
///
/// # Invariants
///
/// Whoever has this holds the flight, on one thread, and has no other `HolderView` of it, nor the place of the waker.
pub(super) struct HolderView<'h>(&'h Header);

impl<'h> HolderView<'h> {
    /// The header.
    #[inline]
    pub(super) const fn header(&self) -> &'h Header {
        self.0
    }

    /// Takes the waker back, if one was announced.
    pub(super) fn retract(self) -> Retracted<'h> {
        // INVARIANT: the holder has taken back the announcement.
        match self.0.state.retract() {
            Retract::InFlight => Retracted::InFlight(WakerPlace(self.0)),
            Retract::Completed => Retracted::Completed(WakerPlace(self.0)),
            Retract::Waking => Retracted::Waking(self),
        }
    }

    /// Takes the waker out, if one was announced or left in its place. A waker that is about to be woken stays.
    pub(super) fn take_waker(self) -> Option<Waker> {
        match self.retract() {
            Retracted::Waking(_) => None,
            Retracted::InFlight(mut place) | Retracted::Completed(mut place) => place.take(),
        }
    }
}

/// The result of taking a waker back that may have been announced.
pub(super) enum Retracted<'h> {
    /// The operation is in flight.
    InFlight(WakerPlace<'h>),
    /// It has completed.
    Completed(WakerPlace<'h>),
    /// The operation has completed, and the completion routine is taking the waker out at this moment.
    Waking(HolderView<'h>),
}

/// The place of a waker. Either no waker is announced, or the completion routine takes it out.
///
/// # Invariants
///
/// Whoever has this has the place, on one thread: the holder while no waker is announced, nor about to be woken; else the completion
/// routine.
pub(super) struct WakerPlace<'h>(&'h Header);

impl WakerPlace<'_> {
    /// Passes the content of the place to `change`, which must not call foreign code.
    #[inline]
    fn with<R>(&mut self, change: impl FnOnce(&mut Option<Announced>) -> R) -> R {
        // SAFETY: by the invariant nobody else has the place, and nothing that is called here comes back to it.
        self.0
            .waker
            .with_mut(|waker| change(unsafe { &mut *waker }))
    }

    /// Takes the waker out.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Waker> {
        self.with(Option::take).map(|announced| announced.waker)
    }

    /// Puts a waker there, for the completion routine to call `wake`. Returns the waker that was there before.
    #[inline]
    pub(super) fn replace(&mut self, waker: Waker, wake: fn(Waking)) -> Option<Waker> {
        let before = self.with(|place| place.replace(Announced { waker, wake }));
        before.map(|announced| announced.waker)
    }

    /// Whether there is a waker.
    #[inline]
    pub(super) fn is_some(&mut self) -> bool {
        self.with(|place| place.is_some())
    }

    /// Whether there is a waker that wakes the same task as `waker`.
    #[inline]
    pub(super) fn will_wake(&mut self, waker: &Waker) -> bool {
        self.with(|place| {
            place
                .as_ref()
                .is_some_and(|place| place.waker.will_wake(waker))
        })
    }

    /// Announces the waker that is in the place. Returns the place if the IRP has completed.
    pub(super) fn announce(self) -> Option<Self> {
        // INVARIANT: if nothing was announced, the place still belongs to the holder.
        (!self.0.state.wake()).then_some(self)
    }
}

/// A kind of completion routine, which sees the completion of an operation.
pub(super) trait Routine: Sized {
    /// Does what the routine does.
    fn run(block: Completing<Self>);
}

/// The completion routine of an operation without an observer.
pub(super) struct Plain;

/// The completion routine of an operation with an observer from the start. It notifies the observer after it has set the state, so the
/// observer may outlive the block.
pub(super) struct Observed;

/// The end of an operation that nobody holds, which belongs to its completion routine from the start. A type, not a function pointer, so
/// that it is compiled into the routine.
pub(crate) trait Unheld {
    /// Whether the operation has an observer.
    const OBSERVED: bool;
    /// Whether `end` may launch the operation again, and then leave it to its completion routine once more.
    const GOES_ON: bool;

    /// Ends the operation.
    ///
    /// # Safety
    ///
    /// As for [`Discard`], for the block of an operation that was [launched so](Idle::launch_unheld).
    unsafe fn end(block: NonNull<Header>);
}

/// The completion routine of an operation that nobody holds, and that `E` ends.
pub(super) struct EndedBy<E>(PhantomData<E>);

/// A completion routine of operations whose observer, if they have one, was set before they were started, and belongs to the routine.
///
/// # Safety
///
/// Nobody sets an observer while such an operation is in flight.
pub(super) unsafe trait HasObserver {}

// SAFETY: a flight that gets an observer later is made without one, and so with another routine.
unsafe impl HasObserver for Observed {}
// SAFETY: nobody holds such an operation.
unsafe impl<E> HasObserver for EndedBy<E> {}

/// The completion routine of an operation, as the kernel calls it: at up to `DISPATCH_LEVEL`, on any thread.
unsafe extern "system" fn routine<R: Routine>(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context is the block that the routine was set for, and is not null.
    let block = unsafe { NonNull::new_unchecked(context.cast()) };
    R::run(Completing {
        // INVARIANT: the operation is in flight, so its block stays until the completion is published. The provider has completed the IRP.
        block: WithIrp(BlockPtr(block)),
        routine: PhantomData,
    });
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The block of an operation whose IRP has completed, for its completion routine.
///
/// # Invariants
///
/// The routine was set to `R` for the request, and has not published the completion.
pub(super) struct Completing<R> {
    block: WithIrp<()>,
    routine: PhantomData<R>,
}

impl<R> Completing<R> {
    /// Publishes the completion.
    #[inline]
    pub(super) fn publish(self) -> Published {
        let block = self.block.0;
        let notify = block.header.state.complete();
        // INVARIANT: the state has just returned `notify`.
        Published { block, notify }
    }
}

impl<R: HasObserver> Completing<R> {
    /// Takes the observer, if there is one.
    #[inline]
    pub(super) fn take_observer(&mut self) -> Option<Observer> {
        self.block.take_observer()
    }

    /// The status of the completed IRP.
    #[inline]
    pub(super) fn status(&self) -> NTSTATUS {
        self.block.outcome().status
    }
}

impl<E: Unheld> Completing<EndedBy<E>> {
    /// Ends the operation.
    #[inline]
    pub(super) fn end(self) {
        // SAFETY: by the invariant the operation was launched so, and the block belongs to its completion routine.
        unsafe { E::end(self.block.0.as_header()) };
    }
}

/// A completion that was published.
///
/// # Invariants
///
/// The state gave `notify` to the completion routine, which has not acted on it yet. The block is there if the state says that the routine
/// still has a part of it.
pub(super) struct Published {
    block: BlockPtr<()>,
    notify: Notify,
}

/// The part of a block that the completion routine still has, and has to act on.
pub(super) enum LeftToRoutine {
    /// Nothing.
    Nothing,
    /// The event, until it is set.
    Event(Waiting),
    /// The waker.
    Waker(Waking),
    /// The whole block.
    Block(CompletedFlight<()>),
}

impl Published {
    /// The `Notify` that the state returned.
    #[inline]
    pub(super) const fn notify(&self) -> Notify {
        self.notify
    }

    /// The part of the block that the completion routine still has.
    #[inline]
    pub(super) fn left_to_routine(self) -> LeftToRoutine {
        // INVARIANT: as the state says.
        match self.notify {
            Notify::Nobody | Notify::Spurious => LeftToRoutine::Nothing,
            Notify::Event => LeftToRoutine::Event(Waiting(self.block)),
            Notify::Waker => LeftToRoutine::Waker(Waking(self.block)),
            Notify::Free => LeftToRoutine::Block(CompletedFlight(Flight::of(self.block))),
        }
    }
}

/// The block of a holder that waits for the event.
///
/// # Invariants
///
/// The holder leaves the block alone until it has seen the event.
pub(super) struct Waiting(BlockPtr<()>);

impl Waiting {
    /// Sets the event. The block may be gone when this returns.
    #[inline]
    pub(super) fn set_event(self) {
        self.0.header.event.set();
    }
}

/// The block of an operation whose waker the completion routine takes out.
///
/// # Invariants
///
/// The waker was announced, and its place belongs to the completion routine. The block is there until the routine calls `done`.
pub(super) struct Waking(BlockPtr<()>);

impl Waking {
    /// Calls the function that came with the waker.
    #[inline]
    pub(super) fn wake(self) {
        let announced = |place: &mut Option<Announced>| place.as_ref().map(|it| it.wake);
        if let Some(wake) = WakerPlace(&self.0.header).with(announced) {
            wake(self);
        }
    }

    /// Keeps the driver from being unloaded until the observer is notified, if the operation has a function for that.
    #[inline]
    pub(super) fn hold_driver(&self) -> Option<Observer> {
        let hold = self.0.header.hold;
        // SAFETY: by the invariant the block is there.
        hold.map(|hold| unsafe { hold(self.0.as_header()) })
    }

    /// Takes the waker out.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Waker> {
        WakerPlace(&self.0.header).take()
    }

    /// Says that the waker was taken out. Returns the operation if its holder has left it meanwhile.
    #[inline]
    pub(super) fn done(self) -> Option<CompletedFlight<()>> {
        let left = self.0.header.state.waking_done() == Notify::Free;
        // INVARIANT: an operation that was left has no other holder.
        left.then(|| CompletedFlight(Flight::of(self.0)))
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
    /// Empty places.
    pub(crate) fn none() -> Self {
        // INVARIANT: all pointers are null.
        Self {
            blocks: [(); N].map(|()| AtomicPtr::new(core::ptr::null_mut())),
        }
    }

    /// Puts a new operation in each empty place. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn fill(&mut self) -> Result<(), Error> {
        for place in &self.blocks {
            if place.load(Ordering::Relaxed).is_null() {
                // INVARIANT: the operation is new. Nobody else has the places.
                place.store(Idle::new()?.into_block().as_ptr(), Ordering::Release);
            }
        }
        Ok(())
    }

    /// Moves the operations of `others` here. As many as have no place are freed.
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

    /// Puts an operation here. If all places are taken, one operation is freed. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn put(&self, operation: Idle<()>) {
        let Some((first, others)) = self.blocks.split_first() else {
            return;
        };
        let before = first.swap(operation.into_block().as_ptr(), Ordering::AcqRel);
        if let Some(before) = NonNull::new(before) {
            // INVARIANT: the operation that was put here was idle, and is not here any more.
            put_elsewhere(others, Idle::of(before));
        }
    }
}

#[inline]
fn take_from(place: &AtomicPtr<Block<()>>) -> Option<Idle<()>> {
    let block = place.swap(core::ptr::null_mut(), Ordering::Acquire);
    // INVARIANT: the operation that was put there was idle, and is not there any more.
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
    // INVARIANT: the operation that was put there was idle, and is not there any more.
    drop(NonNull::new(block).map(Idle::of));
}

impl<const N: usize> Drop for Spares<N> {
    fn drop(&mut self) {
        for place in &self.blocks {
            drop(take_from(place));
        }
    }
}
