//! One request to WSK: its IRP and everything the provider may touch until the IRP has completed, in one block of nonpaged
//! pool. Stands for the allocated IRP with its completion routine that C code passes to each WSK function.
//!
//! A block carries a payload `P`: what has to stay alive and untouched as long as the IRP is in flight. It changes hands like
//! this, with the types standing for who holds it:
//!
//! * [`Idle`]: nothing is in flight; there is no payload.
//! * [`Flight`]: the IRP was passed on, the payload is inside the block. The holder may look whether it has completed, wait,
//!   cancel, take everything back once it has completed, or leave the block to the completion routine, which then drops the
//!   payload and frees the block.
//!
//! Forgetting a `Flight` leaks block and payload, and nothing else: they are never freed early. Who may touch the block when
//! is settled by [`State`].

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use core::task::{Context, Poll, RawWakerVTable, Waker};
use core::time::Duration;

use wsk_sys::{
    DEVICE_OBJECT, EVENT_TYPE, IO_NO_INCREMENT, IO_STACK_LOCATION, IRP, IoCancelIrp,
    IoInitializeIrp, IoReuseIrp, IoSetCompletionRoutine, IoSizeOfIrp, KEVENT, KWAIT_REASON,
    KeClearEvent, KeDelayExecutionThread, KeInitializeEvent, KeQueryUnbiasedInterruptTime,
    KeSetEvent, KeWaitForSingleObject, LARGE_INTEGER, MODE, NTSTATUS, SOCKADDR_STORAGE,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, WSK_BUF,
    WSK_EVENT_CALLBACK_CONTROL,
};

use crate::error::{Call, Error, Memory};
use crate::memory;
use crate::state::{Notify, Retract, State};

/// How long a provider that has answered with an error may take to complete the IRP; it should have done so before it
/// returned.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What a completed IRP says.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub(crate) status: NTSTATUS,
    pub(crate) information: usize,
}

impl Outcome {
    /// Whether the request succeeded.
    #[inline]
    pub(crate) fn check(self, call: Call) -> Result<(), Error> {
        if self.status.is_success() {
            Ok(())
        } else {
            Err(self.failed(call))
        }
    }

    #[cold]
    fn failed(self, call: Call) -> Error {
        Error::Call {
            call,
            status: self.status,
        }
    }
}

/// The bytes of control information that one operation can carry.
pub(crate) const CONTROL_ROOM: usize = crate::control::ControlMessage::SPACE_FOR_ALL;

const _: () = assert!(CONTROL_ROOM.is_multiple_of(8));

/// What a request's parameters point at, apart from buffers.
pub struct Arguments {
    pub(crate) buffer: WSK_BUF,
    pub(crate) address: SOCKADDR_STORAGE,
    pub(crate) control_flags: u32,
    /// How many bytes of control information there are, or room for.
    pub(crate) control_length: u32,
    /// Control information: what the caller has may lie in pageable memory.
    pub(crate) control: [u64; CONTROL_ROOM / 8],
    pub(crate) events: WSK_EVENT_CALLBACK_CONTROL,
    /// Bytes of an option or control code, where they are few.
    pub(crate) value: [u64; 8],
}

impl Arguments {
    /// Sets the first bytes of the value.
    pub(crate) fn set_value<const N: usize>(&mut self, bytes: &[u8; N]) {
        const { assert!(N <= size_of::<[u64; 8]>()) };
        // SAFETY: the value, which is borrowed exclusively, has at least that many bytes, as was just asserted; any are valid.
        unsafe { (&raw mut self.value).cast::<[u8; N]>().write(*bytes) };
    }

    /// The first bytes of the value.
    pub(crate) fn value<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= size_of::<[u64; 8]>()) };
        // SAFETY: the value has at least that many bytes, as was just asserted, all initialised.
        unsafe { (&raw const self.value).cast::<[u8; N]>().read() }
    }
}

/// An IRP with room for its one stack location behind it.
#[repr(C)]
struct Irp {
    irp: IRP,
    stack: [IO_STACK_LOCATION; 1],
}

const _: () = assert!(size_of::<Irp>() >= IoSizeOfIrp(1) as usize);
const _: () = assert!(core::mem::offset_of!(Irp, stack) == size_of::<IRP>());

/// What an operation carries while it is in flight.
pub trait Payload {
    /// Called where the payload lies, once the IRP has completed, or was not passed on after all, and before the payload moves:
    /// takes from outcome and arguments what is its, and lets go of what was locked.
    ///
    /// By its place, not by reference: what is locked may be a part of the payload, which a reference to all of it would claim.
    ///
    /// # Safety
    ///
    /// The payload lies at `this`, and nothing else uses it. Without an outcome nothing was passed on.
    unsafe fn settle(this: NonNull<Self>, outcome: Option<Outcome>, arguments: &Arguments) {
        let _ = (this, outcome, arguments);
    }
}

impl Payload for () {}

/// What every block begins with.
///
/// # Invariants
///
/// The block is nonpaged and 16-aligned. While its [`State`] is idle or completed only the holder touches it. While the IRP is
/// in flight the provider has the IRP and `arguments`; the holder touches only `state`, the waker while none is announced, and
/// `event`; the routine touches what the state gives it.
#[repr(C)]
struct Header {
    irp: UnsafeCell<Irp>,
    state: State<AtomicU32>,
    /// Whether the block is freed when nobody has it any more. Others are part of something larger.
    own: bool,
    event: UnsafeCell<KEVENT>,
    /// Empty unless a waker is announced.
    waker: UnsafeCell<Option<Waker>>,
    /// The waker that was announced last: the holder's, only to be compared with.
    announced: UnsafeCell<Option<(*const (), *const RawWakerVTable)>>,
    /// Told when the IRP has completed, after the state was: it may outlive the block. Read only by the completion routine of
    /// operations that have one.
    observer: UnsafeCell<Option<Observer>>,
    /// What the routine does with a block that was left to it.
    discard: UnsafeCell<Discard>,
    /// What keeps the driver while the routine of an operation without observer does more than to publish the completion.
    hold: Option<Hold>,
    arguments: UnsafeCell<Arguments>,
}

/// Ends what a completed block, which nobody else has, carried, and frees the block if it is one of its own.
pub(crate) type Discard = unsafe fn(NonNull<c_void>);

/// Keeps the driver from being unloaded until what it gives is told. Called by the routine with a block that is there: its holder
/// has not seen the completion, or has left it to the routine.
pub(crate) type Hold = unsafe fn(NonNull<c_void>) -> Option<Observer>;

/// A block with a payload of this type.
#[repr(C)]
pub(crate) struct Block<P> {
    header: Header,
    payload: UnsafeCell<MaybeUninit<P>>,
}

/// Somebody who is told of a completion without holding the operation.
///
/// # Invariants
///
/// `completed` may be called with `context`, once, on any thread at up to `DISPATCH_LEVEL`: what that needs is there until then.
#[derive(Clone, Copy)]
pub(crate) struct Observer {
    /// Called once, with the context and the IRP's status, or another error when the request could not be made.
    pub(crate) completed: unsafe fn(NonNull<c_void>, NTSTATUS),
    pub(crate) context: NonNull<c_void>,
}

impl<P: Payload> Block<P> {
    /// Initialises a block in place, idle.
    ///
    /// # Safety
    ///
    /// `block` is nonpaged memory with the layout of `Self`, aligned to 16, which nothing else refers to.
    pub(crate) unsafe fn initialise(block: NonNull<Self>, own: bool) {
        // SAFETY: the caller gives the memory. `discard` of this payload type is what a block that is left to the routine asks for.
        unsafe { Self::initialise_with(block, own, discard::<P>, None) };
    }

    /// As [`initialise`](Self::initialise), with another way to discard a block that was left to the routine.
    ///
    /// # Safety
    ///
    /// As for `initialise`; `discard` may be called with the block, once for each flight that is left to the routine.
    unsafe fn initialise_with(
        block: NonNull<Self>,
        own: bool,
        discard: Discard,
        hold: Option<Hold>,
    ) {
        let header = block.cast::<Header>().as_ptr();
        // SAFETY: the caller gives the memory. All-zero bytes are valid for the IRP, the event and the arguments, which are
        // C's, and mean idle for the state; the members for which they are not are written here before anything reads them.
        unsafe {
            header.write_bytes(0, 1);
            (&raw mut (*header).own).write(own);
            (&raw mut (*header).waker).write(UnsafeCell::new(None));
            (&raw mut (*header).announced).write(UnsafeCell::new(None));
            (&raw mut (*header).observer).write(UnsafeCell::new(None));
            (&raw mut (*header).discard).write(UnsafeCell::new(discard));
            (&raw mut (*header).hold).write(hold);
            IoInitializeIrp(header.cast(), IoSizeOfIrp(1), 1);
            KeInitializeEvent(
                (&raw mut (*header).event).cast(),
                EVENT_TYPE::NotificationEvent,
                0,
            );
        }
    }
}

/// Blocks without payload that are used again and again in their place: between flights their state stays as the completion
/// left it, at rest.
impl Block<()> {
    /// Initialises a block in place, at rest.
    ///
    /// # Safety
    ///
    /// `block` is nonpaged memory with the layout of `Self`, aligned to 16, which nothing else refers to; `discard` may be called
    /// with the block, once for each flight that is left to the routine, and `hold` as [`Hold`] says.
    pub(crate) unsafe fn initialise_at_rest(block: NonNull<Self>, discard: Discard, hold: Hold) {
        // SAFETY: the caller gives the memory, and vouches for `discard` and `hold`. Once initialised the block's state is nobody else's yet.
        unsafe {
            Self::initialise_with(block, false, discard, Some(hold));
            (*block.as_ptr()).header.state.rest();
        }
    }

    /// Whether nothing is in flight.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.header.state.is_completed()
    }

    /// What the parameters of requests point at.
    #[inline]
    pub(crate) fn arguments(&self) -> NonNull<Arguments> {
        // SAFETY: the address of a cell that is borrowed is not null.
        unsafe { NonNull::new_unchecked(self.header.arguments.get()) }
    }

    /// Makes a request: has `invoke` pass the IRP on. IRQL: that of the call.
    ///
    /// # Safety
    ///
    /// The block is at rest and the caller's alone. `invoke` passes the IRP on to WSK by one call, whose parameters point at
    /// what is in the arguments or stays valid until the flight's completion was seen.
    #[inline]
    pub(crate) unsafe fn launch(
        block: NonNull<Self>,
        invoke: impl FnOnce(NonNull<IRP>) -> NTSTATUS,
    ) -> Flight<()> {
        let irp = block.cast::<IRP>();
        // SAFETY: the caller gives the block, at rest: its IRP is initialised with one stack location and not in use. Routine and
        // context stay until the IRP has completed, as the caller says.
        unsafe {
            IoReuseIrp(irp.as_ptr(), STATUS_UNSUCCESSFUL);
            IoSetCompletionRoutine(
                irp.as_ptr(),
                Some(completed),
                block.as_ptr().cast(),
                true,
                true,
                true,
            );
            (*block.as_ptr()).header.state.start();
        }
        // INVARIANT: the IRP was passed on; a payload of no bytes is always there.
        Flight {
            block,
            answer: Answer::new(invoke(irp)),
            payload: PhantomData,
        }
    }
}

/// An operation that is not in flight.
///
/// # Invariants
///
/// `block` is an initialised, idle block of this payload type, which nothing else touches as long as this exists.
pub(crate) struct Idle<P> {
    block: NonNull<Block<P>>,
    payload: PhantomData<P>,
}

// SAFETY: an idle block has no payload, and no waker; by the invariant it is memory that its one holder may use on any thread.
unsafe impl<P> Send for Idle<P> {}

impl<P: Payload> Idle<P> {
    /// Allocates an operation. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new() -> Result<Self, Error> {
        let block =
            memory::allocate(memory::layout::<Block<P>>()).ok_or(Error::NoMemory(Memory::Irp))?;
        let block = block.cast::<Block<P>>();
        // SAFETY: freshly allocated nonpaged pool of that layout, in blocks that are aligned to 16 bytes.
        unsafe { Block::initialise(block, true) };
        // INVARIANT: initialised, idle, and ours alone.
        Ok(Self {
            block,
            payload: PhantomData,
        })
    }

    /// The operation of a block that is part of something larger.
    ///
    /// # Safety
    ///
    /// `block` was initialised, is idle, and is touched by nothing else until the result, and what it becomes, is gone.
    pub(crate) unsafe fn from_block(block: NonNull<Block<P>>) -> Self {
        Self {
            block,
            payload: PhantomData,
        }
    }

    /// What the parameters of the next request point at.
    pub(crate) fn arguments(&mut self) -> &mut Arguments {
        // SAFETY: by the invariant nothing else touches the block.
        unsafe { &mut *(*self.block.as_ptr()).header.arguments.get() }
    }

    /// Makes a request: moves `payload` into the block and has `invoke` pass the IRP on. IRQL: that of the call.
    ///
    /// `invoke` gets the IRP, what the parameters point at, and the payload. When it fails nothing is in flight, and everything
    /// is given back. The observer is told once in any case.
    ///
    /// # Safety
    ///
    /// When `invoke` succeeds it has passed the IRP on to WSK by one call. What that call's parameters point at is in the
    /// arguments, is kept alive and untouched by the payload until it is dropped, or is valid for as long as the caller
    /// makes sure that the flight's completion was seen.
    #[inline]
    pub(crate) unsafe fn start(
        self,
        payload: P,
        observer: Option<Observer>,
        invoke: impl FnOnce(NonNull<IRP>, NonNull<Arguments>, NonNull<P>) -> Result<NTSTATUS, Error>,
    ) -> Result<Flight<P>, Refused<P>> {
        let block = self.block.as_ptr();
        let irp = self.block.cast::<IRP>();
        // SAFETY: by the invariant the block is ours: idle, its IRP initialised with one stack location and not in use. The
        // pointers are to inside the block.
        let (arguments, inside) = unsafe {
            (*(*block).payload.get()).write(payload);
            let routine = if observer.is_some() {
                *(*block).header.observer.get() = observer;
                completed_observed
            } else {
                completed
            };
            IoReuseIrp(irp.as_ptr(), STATUS_UNSUCCESSFUL);
            IoSetCompletionRoutine(irp.as_ptr(), Some(routine), block.cast(), true, true, true);
            (*block).header.state.start();
            let arguments = NonNull::new_unchecked((*block).header.arguments.get());
            (
                arguments,
                NonNull::new_unchecked((*block).payload.get()).cast::<P>(),
            )
        };
        match invoke(irp, arguments, inside) {
            // INVARIANT: the IRP was passed on, and the payload is in the block.
            Ok(returned) => Ok(Flight {
                block: ManuallyDrop::new(self).block,
                answer: Answer::new(returned),
                payload: PhantomData,
            }),
            Err(error) => {
                // SAFETY: nothing was passed on, so the block is still ours, with the payload in it, which is moved out once.
                let payload = unsafe {
                    (*block).header.state.reset();
                    P::settle(inside, None, &*(*block).header.arguments.get());
                    inside.read()
                };
                if let Some(observer) = observer {
                    // SAFETY: by the observer's invariant. There will be no completion to tell of, so this is the one time.
                    unsafe { (observer.completed)(observer.context, STATUS_UNSUCCESSFUL) };
                }
                Err(Refused {
                    operation: self,
                    payload,
                    error,
                })
            }
        }
    }
}

impl<P> Drop for Idle<P> {
    fn drop(&mut self) {
        // SAFETY: by the invariant nothing else touches the block; a block of its own came from `allocate`.
        unsafe {
            if (*self.block.as_ptr()).header.own {
                memory::free(self.block.cast());
            }
        }
    }
}

/// A request that could not be made: nothing is in flight.
pub(crate) struct Refused<P> {
    pub(crate) operation: Idle<P>,
    pub(crate) payload: P,
    pub(crate) error: Error,
}

/// What a call returned, which the completion may contradict, and when it was first asked in vain whether that is the end: in one
/// word, because most answers are never looked at.
#[derive(Clone, Copy)]
pub(crate) struct Answer(u64);

impl Answer {
    #[inline]
    pub(crate) const fn new(returned: NTSTATUS) -> Self {
        Self(returned.0.cast_unsigned() as u64)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) const fn returned(self) -> NTSTATUS {
        NTSTATUS((self.0 as u32).cast_signed())
    }

    /// When it was first asked: milliseconds, 0 for never.
    const fn asked(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn set_asked(&mut self, asked: u32) {
        self.0 |= u64::from(asked) << 32;
    }
}

/// A request that was made: its IRP is with the provider, or has come back.
///
/// Dropping it leaks block and payload; it is meant to end in [`finish`](Self::finish) or [`detach`](Self::detach).
///
/// # Invariants
///
/// `block` is in flight or completed, with the payload in it, and this is its only holder.
#[must_use]
pub(crate) struct Flight<P> {
    block: NonNull<Block<P>>,
    answer: Answer,
    payload: PhantomData<P>,
}

// SAFETY: holding a flight is holding the payload, and nothing of a block is bound to a thread.
unsafe impl<P: Send> Send for Flight<P> {}

impl<P: Payload> Flight<P> {
    /// Whether the IRP has completed: then [`finish`](Self::finish) may be called.
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        self.state().is_completed()
    }

    /// What the call returned.
    pub(crate) fn returned(&self) -> NTSTATUS {
        self.answer.returned()
    }

    /// What the call returned, and what was asked since.
    pub(crate) fn answer(&self) -> Answer {
        self.answer
    }

    /// Says what the call returned, of a flight that was made [from a block](Self::from_raw).
    pub(crate) fn set_answer(&mut self, answer: Answer) {
        self.answer = answer;
    }

    /// Asks the provider to cancel the request. Its completion comes all the same, exactly once. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn cancel(&self) {
        // SAFETY: the IRP is initialised, and by the invariant it is neither reused nor freed as long as this exists. Where it
        // has completed, and the provider's cancel routine is gone from it, the call only sets a flag.
        unsafe { IoCancelIrp(self.block.cast::<IRP>().as_ptr()) };
    }

    /// Waits until the IRP has completed, or for at most `limit`; says whether it has. IRQL: `PASSIVE_LEVEL`.
    #[inline]
    pub(crate) fn wait(&self, limit: Option<Duration>) -> bool {
        // SAFETY: the block is that of this flight, which is borrowed, and so held, meanwhile.
        self.is_completed() || unsafe { wait_for_routine(self.block, limit) }
    }

    /// As [`wait`](Self::wait), when it had not completed.
    fn wait_longer(&self, limit: Option<Duration>) -> bool {
        match self.retract() {
            Retract::InFlight => {
                // SAFETY: no waker is announced, so the slot is the holder's.
                drop(unsafe { (*self.waker()).take() });
            }
            Retract::Completed => return true,
            Retract::Waking => return self.yield_to_routine(),
        }
        if !self.state().wait() || self.await_event(limit) {
            return true;
        }
        if self.state().give_up() {
            return false;
        }
        // It completed at the last moment: the block is the routine's until it has set the event.
        self.await_event(None)
    }

    /// Waits until the IRP has completed. When the provider has answered with an error, and does not complete the IRP within a
    /// time that is long for a mere oversight, it has broken its contract: `false`. IRQL: `PASSIVE_LEVEL`.
    #[inline]
    pub(crate) fn wait_or_give_up(&self) -> bool {
        self.wait(self.returned().is_error().then_some(GRACE))
    }

    /// Whether the IRP has completed; if not, `context`'s waker is woken when it has. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let waker = (
            context.waker().data(),
            core::ptr::from_ref(context.waker().vtable()),
        );
        // SAFETY: the place is the holder's, which is borrowed exclusively.
        let announced = unsafe { &mut *(*self.block.as_ptr()).header.announced.get() };
        match self.retract() {
            Retract::Completed => return Poll::Ready(()),
            Retract::Waking => {
                // The routine is about to wake the announced waker. Asking it to be woken again for the same one could keep a DPC
                // from ever letting the routine go on.
                if *announced != Some(waker) {
                    context.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            Retract::InFlight => {}
        }
        // SAFETY: no waker is announced, so the slot is the holder's, which is borrowed exclusively.
        let slot = unsafe { &mut *self.waker() };
        if !slot
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *slot = Some(context.waker().clone());
        }
        *announced = Some(waker);
        if self.state().wake() {
            Poll::Pending
        } else {
            // SAFETY: it has completed, and no waker is announced: the slot is the holder's.
            drop(unsafe { (*self.waker()).take() });
            Poll::Ready(())
        }
    }

    /// Whether the provider has answered with an error and still keeps the IRP, a long time after this was first asked. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn is_given_up(&mut self) -> bool {
        if !self.returned().is_error() || self.is_completed() {
            return false;
        }
        // SAFETY: the clock may be read at any IRQL. What it counts in 49 days is enough to tell two seconds. Odd, so never 0.
        #[allow(clippy::cast_possible_truncation)]
        let now = unsafe { KeQueryUnbiasedInterruptTime() / 10_000 } as u32 | 1;
        if self.answer.asked() == 0 {
            self.answer.set_asked(now);
        }
        u128::from(now.wrapping_sub(self.answer.asked())) > GRACE.as_millis()
    }

    /// Takes everything back. The IRP must have completed: [`is_completed`](Self::is_completed) or [`wait`](Self::wait) said so.
    ///
    /// # Safety
    ///
    /// One of them returned `true`.
    #[inline]
    pub(crate) unsafe fn finish(self) -> (Idle<P>, P, Outcome) {
        let block = self.block.as_ptr();
        // SAFETY: the IRP has completed, as the caller says, so the provider is done with it and the routine with the block;
        // by the invariant nobody else has it. The payload is moved out once.
        let (outcome, payload) = unsafe {
            let outcome = self.outcome();
            (*block).header.state.reset();
            let payload = self.payload();
            P::settle(payload, Some(outcome), &*(*block).header.arguments.get());
            (outcome, payload.read())
        };
        // INVARIANT: idle again, and ours alone.
        (
            Idle {
                block: self.block,
                payload: PhantomData,
            },
            payload,
            outcome,
        )
    }

    /// Leaves the block to the completion routine, which drops the payload and frees the block; does so itself when the IRP has
    /// completed already. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn detach(self) {
        // SAFETY: the flight is gone after this. If it has completed nobody else has the block, and it is discarded once.
        unsafe {
            if !self.leave() {
                discard::<P>(self.block.cast());
            }
        }
    }

    /// As [`detach`](Self::detach), of a flight without an observer: it gets one, which is told when the block has gone. IRQL:
    /// `<= DISPATCH_LEVEL`.
    #[cold]
    pub(crate) fn detach_observed(self, observer: Observer) {
        // SAFETY: the block is that of this flight. The routine of an operation without an observer looks at neither place
        // before the block is left to it.
        unsafe {
            let header = &(*self.block.as_ptr()).header;
            *header.observer.get() = Some(observer);
            *header.discard.get() = discard_observed::<P>;
        }
        // SAFETY: the flight is gone after this. If it has completed nobody else has the block, and it is discarded once.
        unsafe {
            if !self.leave() {
                discard_observed::<P>(self.block.cast());
            }
        }
    }

    /// Leaves the block to the completion routine, and the flight is over; `false` when the IRP has completed already and the
    /// block is the holder's. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// When it is left to the routine, nobody uses the flight or its block again.
    #[inline]
    pub(crate) unsafe fn leave(&self) -> bool {
        // SAFETY: the block is that of this flight, which is borrowed, and so held, meanwhile.
        !self.is_completed() && unsafe { leave_to_routine(self.block) }
    }

    /// As [`leave`](Self::leave), when it had not completed.
    fn leave_now(&self) -> bool {
        self.silence();
        self.state().detach()
    }

    /// Has the completion wake nobody any more, unless it is about to: who drops a future does not expect that it wakes its task.
    pub(crate) fn silence(&self) {
        if self.retract() == Retract::InFlight {
            // SAFETY: no waker is announced, so the slot is the holder's.
            drop(unsafe { (*self.waker()).take() });
        }
    }

    /// What the completed IRP says.
    ///
    /// # Safety
    ///
    /// It has completed: [`is_completed`](Self::is_completed) or [`wait`](Self::wait) said so.
    #[inline]
    pub(crate) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: it has completed, as the caller says, so the provider and the routine are done with the IRP.
        let io_status = unsafe { (*self.block.cast::<IRP>().as_ptr()).IoStatus };
        Outcome {
            status: io_status.status(),
            information: io_status.Information,
        }
    }

    /// The payload, which stays where it is until the flight ends.
    pub(crate) fn payload(&self) -> NonNull<P> {
        // SAFETY: by the invariant the block is there; of it only the address of a cell is taken, which is not null.
        unsafe { NonNull::new_unchecked((*self.block.as_ptr()).payload.get()) }.cast()
    }

    /// The block, for [`from_raw`](Self::from_raw).
    pub(crate) fn as_raw(&self) -> NonNull<c_void> {
        self.block.cast()
    }

    /// The flight of a block, in place of the one that it was taken from.
    ///
    /// # Safety
    ///
    /// `block` came from [`as_raw`](Self::as_raw) of a flight of the same type that is not used again.
    pub(crate) unsafe fn from_raw(block: NonNull<c_void>) -> Self {
        Self {
            block: block.cast(),
            answer: Answer::new(STATUS_SUCCESS),
            payload: PhantomData,
        }
    }

    /// Whether the IRP of a block has completed.
    ///
    /// # Safety
    ///
    /// `block` came from [`as_raw`](Self::as_raw) of a flight of the same type that has not ended.
    pub(crate) unsafe fn is_completed_raw(block: NonNull<c_void>) -> bool {
        // SAFETY: the caller says that the flight has not ended, so the block is there; the state is atomic.
        unsafe {
            (*block.cast::<Block<P>>().as_ptr())
                .header
                .state
                .is_completed()
        }
    }

    fn retract(&self) -> Retract {
        self.state().retract()
    }

    /// Waits for the routine to be done with a waker, which is a matter of a few instructions. Does not spin: the routine may
    /// run on a thread that this one keeps from running.
    fn yield_to_routine(&self) -> bool {
        while !self.is_completed() {
            let mut moment = interval(Duration::from_micros(50));
            // SAFETY: the time is valid for the call. Only waits get here, which are for PASSIVE_LEVEL.
            let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, 0, &raw mut moment) };
        }
        true
    }

    /// Waits for the event, and clears it; `false` when `limit` ran out first.
    fn await_event(&self, limit: Option<Duration>) -> bool {
        // SAFETY: a place inside the block, which lives as long as `self`.
        let event = unsafe { (*self.block.as_ptr()).header.event.get() };
        let timeout = limit.map(interval);
        let timeout = timeout
            .as_ref()
            .map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: the event was initialised with the block, which is in nonpaged memory and stays as long as `self`. Only waits get
        // here, which are for PASSIVE_LEVEL.
        unsafe {
            let status = KeWaitForSingleObject(
                event.cast(),
                KWAIT_REASON::Executive,
                KERNEL_MODE,
                0,
                timeout.cast_mut(),
            );
            if status != STATUS_SUCCESS {
                return false;
            }
            KeClearEvent(event);
        }
        true
    }

    /// The waker's slot, the holder's while none is announced.
    fn waker(&self) -> *mut Option<Waker> {
        // SAFETY: a place inside the block, which lives as long as `self`.
        unsafe { (*self.block.as_ptr()).header.waker.get() }
    }

    #[inline]
    fn state(&self) -> &State<AtomicU32> {
        // SAFETY: by the invariant the block is there as long as `self`; the state is atomic.
        unsafe { &(*self.block.as_ptr()).header.state }
    }
}

// Both are out of line, and get the block by itself, so that a flight that has completed already never has to be in memory.

/// As [`Flight::wait`], when it had not completed.
///
/// # Safety
///
/// `block` is that of a flight, which the caller holds meanwhile.
#[inline(never)]
unsafe fn wait_for_routine<P: Payload>(block: NonNull<Block<P>>, limit: Option<Duration>) -> bool {
    // SAFETY: the block is that of a flight, which the caller uses for nothing else meanwhile, and goes on with afterwards.
    unsafe { Flight::<P>::from_raw(block.cast()) }.wait_longer(limit)
}

/// As [`Flight::leave`], when it had not completed.
///
/// # Safety
///
/// `block` is that of a flight, which the caller holds meanwhile.
#[inline(never)]
unsafe fn leave_to_routine<P: Payload>(block: NonNull<Block<P>>) -> bool {
    // SAFETY: the block is that of a flight, which the caller uses for nothing else meanwhile, and no more when it was left.
    unsafe { Flight::<P>::from_raw(block.cast()) }.leave_now()
}

/// `KernelMode` as a `KPROCESSOR_MODE`.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const KERNEL_MODE: i8 = MODE::KernelMode.0 as i8;

/// A time from now as the kernel takes it: negative, in units of 100 nanoseconds.
pub(crate) fn interval(time: Duration) -> LARGE_INTEGER {
    interval_of(units(time))
}

/// A time in units of 100 nanoseconds, with no division of 128 bits; the longest there is for what is longer.
pub(crate) fn units(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(10_000_000)
        .saturating_add(u64::from(time.subsec_nanos() / 100))
}

/// As [`interval`], of units.
pub(crate) fn interval_of(units: u64) -> LARGE_INTEGER {
    // Not more than half the range, so that the kernel's sum with the time since boot does not overflow.
    let units = i64::try_from(units).unwrap_or(i64::MAX).min(i64::MAX / 2);
    LARGE_INTEGER { QuadPart: -units }
}

/// Drops the payload of a block that nobody has any more, and frees the block if it is one of its own.
///
/// # Safety
///
/// `header` begins a `Block<P>` that has completed, with the payload in it; nobody else has it, and it is not used again
/// by the caller.
unsafe fn discard<P: Payload>(header: NonNull<c_void>) {
    let block = header.cast::<Block<P>>();
    // SAFETY: the caller gives the block away. Blocks that are part of something larger may be used again by others as soon as
    // the payload is dropped, so that comes last.
    unsafe {
        let io_status = (*header.cast::<IRP>().as_ptr()).IoStatus;
        let outcome = Outcome {
            status: io_status.status(),
            information: io_status.Information,
        };
        let payload = NonNull::new_unchecked((*block.as_ptr()).payload.get()).cast::<P>();
        let arguments = &*(*block.as_ptr()).header.arguments.get();
        P::settle(payload, Some(outcome), arguments);
        if (*block.as_ptr()).header.own {
            // In place: a payload may be larger than what is left of a kernel stack.
            payload.drop_in_place();
            memory::free(block.cast());
        } else {
            // It may hold the last reference to the memory that the block is part of.
            let payload = payload.read();
            (*block.as_ptr()).header.state.reset();
            drop(payload);
        }
    }
}

/// As [`discard`], for a block that has got an observer since its request was made.
///
/// # Safety
///
/// As for `discard`; the observer may be told.
unsafe fn discard_observed<P: Payload>(header: NonNull<c_void>) {
    // SAFETY: the caller gives the block away, whose places nobody else looks at any more; the IRP has its status. The observer is
    // taken out, and told once.
    unsafe {
        let block = header.cast::<Header>().as_ptr();
        let observer = (*(*block).observer.get()).take();
        let status = (*header.cast::<IRP>().as_ptr()).IoStatus.status();
        *(*block).discard.get() = discard::<P>;
        discard::<P>(header);
        if let Some(observer) = observer {
            (observer.completed)(observer.context, status);
        }
    }
}

/// The completion routine of an operation without observer. Runs at up to `DISPATCH_LEVEL`, on any thread.
unsafe extern "system" fn completed(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let header = context.cast::<Header>();
    // SAFETY: the context is the block of an operation in flight, which stays until the completion is published.
    let notify = unsafe { (*header).state.complete() };
    if notify != Notify::Nobody {
        // SAFETY: that is what the state gave, just now.
        unsafe { notify_holder(header, notify) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The completion routine of an operation with an observer.
unsafe extern "system" fn completed_observed(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let header = context.cast::<Header>();
    // SAFETY: the context is the block of an operation in flight, which stays until the completion is published. The observer
    // is not changed while in flight, and the IRP has its status.
    let (observer, status, notify) = unsafe {
        (
            *(*header).observer.get(),
            (*header.cast::<IRP>()).IoStatus.status(),
            (*header).state.complete(),
        )
    };
    if notify != Notify::Nobody {
        // SAFETY: that is what the state gave, just now.
        unsafe { notify_holder(header, notify) };
    }
    if let Some(observer) = observer
        && notify != Notify::Spurious
    {
        // SAFETY: by the observer's invariant. A completion is published once, so this is the one time.
        unsafe { (observer.completed)(observer.context, status) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Tells the holder of a completion that was published, or does the holder's part.
///
/// # Safety
///
/// `header` begins the block of the completed operation, whose state gave `notify`, once.
#[inline(never)]
unsafe fn notify_holder(header: *mut Header, notify: Notify) {
    match notify {
        // The block is the holder's.
        Notify::Nobody | Notify::Spurious => {}
        // SAFETY: a waiter leaves the block alone until the event is set, and nothing is done with it after.
        Notify::Event => unsafe {
            KeSetEvent((*header).event.get(), IO_NO_INCREMENT.into(), 0);
        },
        // SAFETY: the waker was announced, and is the routine's until `waking_done`; after that the block is not touched unless
        // it is the routine's to discard. What is woken is the driver's: it stays until then.
        Notify::Waker => unsafe {
            let held = hold(header);
            let waker = (*(*header).waker.get()).take();
            if (*header).state.waking_done() == Notify::Free {
                (*(*header).discard.get())(NonNull::new_unchecked(header.cast()));
            }
            if let Some(waker) = waker {
                waker.wake();
            }
            let_go(held);
        },
        // SAFETY: a detached block has no holder: it is the routine's to discard, and with it perhaps the last that kept the driver.
        Notify::Free => unsafe {
            let held = hold(header);
            (*(*header).discard.get())(NonNull::new_unchecked(header.cast()));
            let_go(held);
        },
    }
}

/// Keeps the driver until [`let_go`], for an operation without observer; those that have one are kept by it.
///
/// # Safety
///
/// `header` begins a block that is there: its holder has not seen the completion, or has left it to the routine.
unsafe fn hold(header: *mut Header) -> Option<Observer> {
    // SAFETY: the caller gives the block, as what is called asks.
    unsafe {
        (*header)
            .hold
            .and_then(|hold| hold(NonNull::new_unchecked(header.cast())))
    }
}

/// The last that a routine does.
///
/// # Safety
///
/// `held` came from [`hold`], and is let go of once.
unsafe fn let_go(held: Option<Observer>) {
    if let Some(observer) = held {
        // SAFETY: by the observer's invariant; this is the one time.
        unsafe { (observer.completed)(observer.context, STATUS_SUCCESS) };
    }
}

/// A place for one idle operation, from which any thread may take it and put one back.
///
/// # Invariants
///
/// The pointer is null, or the block of an [`Idle`] that was put here and not taken since.
pub(crate) struct Spare<P> {
    block: AtomicPtr<Block<P>>,
}

impl<P> Spare<P> {
    pub(crate) fn new(operation: Option<Idle<P>>) -> Self {
        let spare = Self {
            block: AtomicPtr::new(core::ptr::null_mut()),
        };
        if let Some(operation) = operation {
            spare.put(operation);
        }
        spare
    }

    /// Takes the operation, if it is there.
    #[inline]
    pub(crate) fn take(&self) -> Option<Idle<P>> {
        let block = self.block.swap(core::ptr::null_mut(), Ordering::Acquire);
        // INVARIANT: what was put here was idle, and no longer is here.
        NonNull::new(block).map(|block| Idle {
            block,
            payload: PhantomData,
        })
    }

    /// Puts the operation here; the one that was here is freed.
    #[inline]
    pub(crate) fn put(&self, operation: Idle<P>) {
        let block = ManuallyDrop::new(operation).block;
        let before = self.block.swap(block.as_ptr(), Ordering::AcqRel);
        // INVARIANT: what was put here was idle, and no longer is here.
        drop(NonNull::new(before).map(|block| Idle {
            block,
            payload: PhantomData,
        }));
    }
}

impl<P> Drop for Spare<P> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
