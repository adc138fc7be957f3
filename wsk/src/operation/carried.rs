//! What an operation carries: how it is loaded, made, and unloaded when it is over.
//!
//! The types say how far an operation is, and so what may be done with it:
//!
//! * [`Unladen`]: it has room for what it is to carry.
//! * [`Load`]: it is at rest, with what it carries, which is lent to it or not.
//! * [`Loaded`]: a request was put into it.
//! * [`Running`]: it was made.
//! * [`Completed`]: its IRP has come back, and it may go on.
//! * [`Over`]: it has ended, and carries its load still.

use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ptr::NonNull;

use wsk_sys::STATUS_CANCELLED;

use crate::buffer::carry::Carry;
use crate::error::{Error, Memory};
use crate::irp::{
    Arguments, Discard, Flight, Header, Idle, Lock, NotLaunched, Observer, Outcome, Unheld,
};
use crate::memory::shared::Shared;
use crate::registration::{Capture, hold};
pub(crate) use crate::request::{CarryOf, TargetOf};
use crate::request::{Function, Operation, Request};
use crate::socket::calls::{Asked, Bound, Call};

/// The way in which an operation carries.
pub(crate) type WayOf<O, B> = <O as Operation<B>>::Way;

/// The most bytes that may be moved into an operation: a kernel stack, over which they go, has 24 KiB in all.
const MOST: usize = 1024;

/// The words of a completion that is told: see [`start_with`](crate::operation::Request::start_with).
const COMPLETION_WORDS: usize = 4;

/// Room for a completion that is told.
pub(crate) type Completion = [usize; COMPLETION_WORDS];

/// The payload of an operation that has what it carries in its block: room for a `B`, and for an `X` beside it.
#[repr(C)]
pub(crate) struct Carried<B, X = Completion> {
    carried: MaybeUninit<B>,
    beside: MaybeUninit<X>,
}

impl<B, X> Carried<B, X> {
    /// The place of what stands beside what is carried.
    #[inline]
    pub(crate) fn beside(payload: NonNull<Self>) -> *mut X {
        let place = payload.as_ptr();
        place.wrapping_byte_add(offset_of!(Self, beside)).cast()
    }
}

/// Is not evaluated at compile time for what is too large to be moved into an operation. Finishers do so themselves, so that the
/// compiler names the place where they are called.
pub(crate) const fn refuse_large<B>() {
    assert!(
        size_of::<B>() <= MOST,
        "more than 1,024 bytes would be moved over the kernel stack: put them into a `NonPagedBuffer`, or wait for a request that \
         borrows them"
    );
}

/// Whether a completion has room in an operation.
const fn fits<C>() -> bool {
    size_of::<C>() <= size_of::<Completion>() && align_of::<C>() <= align_of::<usize>()
}

/// As [`refuse_large`], for completions.
pub(crate) const fn refuse_large_completion<C>() {
    assert!(
        fits::<C>(),
        "a completion has room for four words: capture a reference, or a reference-counted pointer, instead of values"
    );
}

/// Where operations that carry `B` come from, and go back to.
pub(crate) trait Home<B>: Sized {
    /// Whether such an operation holds the capture by itself.
    const HOLDS: bool;

    /// Gives an operation back.
    fn give_back(operation: Unladen<B, Completion, Self>);
}

/// Operations that find their way back by themselves: a block of the pool is freed, one of an arena goes there.
pub(crate) struct ByItself;

impl<B> Home<B> for ByItself {
    const HOLDS: bool = true;

    fn give_back(operation: Unladen<B, Completion, Self>) {
        drop(operation);
    }
}

/// An operation with room for a `B`, and for an `X` beside it.
///
/// # Invariants
///
/// It came from `H`.
pub(crate) struct Unladen<B, X = Completion, H = ByItself> {
    operation: Idle<Carried<B, X>>,
    home: PhantomData<H>,
}

// SAFETY: an operation at rest carries nothing, nothing of it is bound to a thread, and through a shared one nothing is done.
unsafe impl<B, X, H> Sync for Unladen<B, X, H> {}

impl<B, X> Unladen<B, X> {
    /// Allocates one. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    #[inline]
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self::finding_back(Idle::new()?))
    }

    #[inline]
    fn finding_back(operation: Idle<Carried<B, X>>) -> Self {
        // INVARIANT: every operation finds its way back by itself.
        let home = PhantomData;
        Self { operation, home }
    }
}

impl<B, X, H> Unladen<B, X, H> {
    /// An operation that came from `H`.
    ///
    /// # Safety
    ///
    /// So it did.
    #[inline]
    pub(crate) const unsafe fn of(operation: Idle<Carried<B, X>>) -> Self {
        // INVARIANT: the caller says so.
        let home = PhantomData;
        Self { operation, home }
    }

    /// The same, which then finds its way back by itself.
    #[inline]
    pub(crate) fn by_itself(self) -> Unladen<B, X> {
        Unladen::finding_back(self.operation)
    }

    #[inline]
    pub(crate) fn into_operation(self) -> Idle<Carried<B, X>> {
        self.operation
    }
}

/// Where an operation has what it carries.
///
/// # Safety
///
/// `place` is the place of a `B`, which nothing else uses, as long as a [`Load`] has this with an operation; and as long as that is in
/// flight.
pub(crate) unsafe trait Where<B>: Copy {
    /// The payload of the operation.
    type Payload;
    /// Whether the operation owns what it carries.
    const OWNED: bool;

    /// The place, of an operation with this payload.
    fn place(self, payload: NonNull<Self::Payload>) -> NonNull<B>;
}

/// In the block of the operation, which came from `H`, with an `X` beside it.
pub(crate) struct Inside<X = Completion, H = ByItself>(PhantomData<fn() -> (X, H)>);

impl<X, H> Clone for Inside<X, H> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<X, H> Copy for Inside<X, H> {}

impl<X, H> Inside<X, H> {
    const NEW: Self = Self(PhantomData);
}

// SAFETY: the payload begins with a place for it, where a load has it.
unsafe impl<B, X, H> Where<B> for Inside<X, H> {
    type Payload = Carried<B, X>;
    const OWNED: bool = true;

    #[inline]
    fn place(self, payload: NonNull<Carried<B, X>>) -> NonNull<B> {
        payload.cast()
    }
}

/// In memory of somebody who waits until the operation is over.
pub(crate) struct Kept<B>(NonNull<B>);

impl<B> Clone for Kept<B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Kept<B> {}

impl<B> Kept<B> {
    #[inline]
    pub(crate) const fn at(place: NonNull<B>) -> Self {
        Self(place)
    }
}

// SAFETY: who has put it there for an operation keeps it.
unsafe impl<B> Where<B> for Kept<B> {
    type Payload = ();
    const OWNED: bool = false;

    #[inline]
    fn place(self, _: NonNull<()>) -> NonNull<B> {
        self.0
    }
}

/// Says which types something is of that has none of them inside.
type Of<O, B> = PhantomData<fn() -> (O, B)>;

/// An operation `O` at rest, with a `B` that it carries, which is `LENT` to it or not. Dropping it takes back what is lent, drops what the
/// operation owns, and gives the operation back.
///
/// # Invariants
///
/// A `B` lies at the place, and nothing else uses it. Where it is `LENT`, it was lent with the operation's lock.
struct Load<O: Operation<B>, B, W: Where<B>, const LENT: bool> {
    operation: Idle<W::Payload>,
    at: W,
    of: Of<O, B>,
}

impl<O: Operation<B>, B, W: Where<B>, const LENT: bool> Load<O, B, W, LENT> {
    /// How what was lent is taken back.
    const TAKE_BACK: unsafe fn(NonNull<B>, &mut Lock) = if W::OWNED {
        CarryOf::<O, B>::take_back::<true>
    } else {
        CarryOf::<O, B>::take_back::<false>
    };

    #[inline]
    fn place(&self) -> NonNull<B> {
        self.at.place(self.operation.payload())
    }

    /// The operation, with what it carries at its place, lent or not.
    #[inline]
    fn into_operation(self) -> (Idle<W::Payload>, W) {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is moved out of what is neither used again nor dropped.
        (
            unsafe { core::ptr::read(&raw const this.operation) },
            this.at,
        )
    }
}

impl<O: Operation<B>, B, X, H> Load<O, B, Inside<X, H>, false> {
    /// Puts what is to be carried into an operation.
    #[inline]
    fn put(operation: Unladen<B, X, H>, carried: B) -> Self {
        let (operation, at) = (operation.into_operation(), Inside::NEW);
        // SAFETY: the operation is at rest, so the place is not in use.
        unsafe { at.place(operation.payload()).write(carried) };
        // INVARIANT: written.
        Self {
            operation,
            at,
            of: PhantomData,
        }
    }

    /// Takes it out again.
    #[inline]
    fn take(self) -> (B, Unladen<B, X, H>) {
        let place = self.place();
        let (operation, _) = self.into_operation();
        let home = PhantomData;
        // SAFETY: by the invariant it lies there; it is moved out this once.
        // INVARIANT: where it came from is what the place says.
        (unsafe { place.read() }, Unladen { operation, home })
    }
}

impl<O: Operation<B>, B, W: Where<B>> Load<O, B, W, false> {
    /// Lends what it carries to the operation, and puts a request into that.
    ///
    /// # Errors
    ///
    /// What is wrong with the request; then nothing is lent.
    // With who looks at the error, which else lies in memory, and the parameters with it.
    #[expect(clippy::inline_always, reason = "two instructions of a send")]
    #[inline(always)]
    fn lend<F: Function<B, Operation = O>>(
        self,
        target: TargetOf<'_, O, B>,
        function: F,
    ) -> Result<ReadyOf<O, B, W>, (Error, Self)> {
        let mut this = self;
        let place = this.place();
        // SAFETY: by the invariant it lies at the place, which nothing else uses until it is taken back; the operation's lock holds nothing
        // while it is at rest. The operation's name in types is the lifetime of the target's borrow, of which who puts it together
        // knows nothing.
        let (lent, places) = unsafe {
            let lock = this.operation.locked();
            let lent = if W::OWNED {
                CarryOf::<O, B>::lend::<true>(place, lock)
            } else {
                CarryOf::<O, B>::lend::<false>(place, lock)
            };
            (lent, this.operation.places())
        };
        let lent = match lent {
            Ok(lent) => lent,
            Err(error) => return Err((error, this)),
        };
        let (operation, at) = this.into_operation();
        // INVARIANT: lent.
        let mut load = Load {
            operation,
            at,
            of: PhantomData,
        };
        match function.put(target, lent, load.operation.arguments(), places) {
            // INVARIANT: bound to what is lent.
            Ok(bound) => Ok(Ready {
                load,
                call: Bound::into_call(bound),
            }),
            Err(error) => Err((error, load.take_back())),
        }
    }
}

impl<O: Operation<B>, B, W: Where<B>> Load<O, B, W, true> {
    /// Takes back what is lent.
    #[inline]
    fn take_back(self) -> Load<O, B, W, false> {
        let (operation, at) = self.into_operation();
        // INVARIANT: it is not lent from here on, also when code of others unwinds.
        let mut this = Load {
            operation,
            at,
            of: PhantomData,
        };
        let place = this.place();
        // SAFETY: by the invariant it was lent with this lock, and the operation is at rest.
        unsafe { Self::TAKE_BACK(place, this.operation.locked()) };
        this
    }
}

impl<O: Operation<B>, B, W: Where<B>, const LENT: bool> Drop for Load<O, B, W, LENT> {
    #[inline]
    fn drop(&mut self) {
        let place = self.place();
        // SAFETY: by the invariant it lies there, and was lent where it is `LENT`; the operation is at rest. It is dropped once.
        unsafe {
            if LENT {
                Self::TAKE_BACK(place, self.operation.locked());
            }
            if W::OWNED {
                place.drop_in_place();
            }
        }
    }
}

/// An operation that is ready to be made, with the parameters of the call.
///
/// # Invariants
///
/// The parameters were bound to the operation, to which is lent still what was then; what they lead to is there as long as this is used.
struct Ready<O: Operation<B>, B, W: Where<B>, C: Call<B>> {
    load: Load<O, B, W, true>,
    call: C,
}

/// An operation that is ready to be made for the first time.
type ReadyOf<O, B, W> = Ready<O, B, W, <O as Operation<B>>::Parameters>;

impl<O: Operation<B>, B, W: Where<B>, C: Call<B>> Ready<O, B, W, C> {
    /// Makes the request. The observer, if there is one, is told of its completion; `discard` ends the operation when it is left to its
    /// routine.
    ///
    /// # Errors
    ///
    /// Why it could not be made, with what it carries.
    #[inline]
    fn launch(
        self,
        observer: Option<Observer>,
        discard: Option<Discard>,
    ) -> Result<Running<O, B, W>, Refused<O, B, W>> {
        let Self { load, call } = self;
        let (mut operation, at) = load.into_operation();
        // SAFETY: by the invariant what the parameters point at is in the arguments, or was lent and stays at its place, until the operation
        // has completed. Callers give what discards such an operation.
        let launched = unsafe {
            if let Some(discard) = discard {
                operation.set_discard(discard);
            }
            operation.launch(observer, |irp| call.submit(irp))
        };
        match launched {
            // INVARIANT: in flight, and loaded.
            Ok(flight) => Ok(Running {
                flight,
                at,
                of: PhantomData,
            }),
            Err(refused) => Err(Refused::of(refused, at)),
        }
    }
}

/// An operation that was not begun, and why.
struct Refused<O: Operation<B>, B, W: Where<B>> {
    error: Error,
    load: Load<O, B, W, true>,
}

impl<O: Operation<B>, B, W: Where<B>> Refused<O, B, W> {
    #[inline]
    fn of(refused: NotLaunched<W::Payload>, at: W) -> Self {
        // INVARIANT: callers have launched what was loaded.
        let load = Load {
            operation: refused.operation,
            at,
            of: PhantomData,
        };
        let error = refused.error;
        Self { error, load }
    }

    /// Takes back what was lent.
    #[cold]
    #[inline(never)]
    fn take_back(self) -> (Error, Load<O, B, W, false>) {
        (self.error, self.load.take_back())
    }
}

/// An operation into which a request was put. It is meant to be launched.
pub(crate) struct Loaded<'t, O: Operation<B>, B, X = Completion, H = ByItself> {
    ready: Ready<O, B, Inside<X, H>, O::Parameters>,
    target: TargetOf<'t, O, B>,
}

impl<'t, O: Operation<B>, B, X, H> Loaded<'t, O, B, X, H> {
    /// Puts a request into an operation.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, with what it carries.
    #[inline]
    pub(crate) fn of<F: Function<B, Operation = O>>(
        operation: Unladen<B, X, H>,
        request: Request<'t, F, B>,
    ) -> Result<Self, (Error, B)> {
        let Request {
            target,
            function,
            carried,
        } = request;
        match Load::put(operation, carried).lend(target, function) {
            Ok(ready) => Ok(Self { ready, target }),
            Err((error, load)) => Err((error, load.take().0)),
        }
    }

    /// What it carries.
    #[inline]
    pub(crate) fn carried(&self) -> &B {
        // SAFETY: by the invariant of the load it lies there; whoever uses what is lent of it only does so in flight.
        unsafe { self.ready.load.place().as_ref() }
    }

    /// The capture that keeps the driver.
    #[inline]
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        O::Asked::capture(self.target, self.carried())
    }

    /// Makes the request; the observer, if there is one, is told of its completion. It is not to be left to its routine.
    ///
    /// # Errors
    ///
    /// Why it could not be made, with what it carries.
    #[inline]
    pub(crate) fn launch(self, observer: Option<Observer>) -> Launched<O, B, Inside<X, H>> {
        self.launch_as(observer, None)
    }

    #[inline]
    fn launch_as(
        self,
        observer: Option<Observer>,
        discard: Option<Discard>,
    ) -> Launched<O, B, Inside<X, H>> {
        match self.ready.launch(observer, discard) {
            Ok(running) => Ok(running),
            Err(refused) => {
                let (error, load) = refused.take_back();
                Err((error, load.take().0))
            }
        }
    }
}

/// An operation that was made; or why it was not, with what it carries.
type Launched<O, B, W> = Result<Running<O, B, W>, (Error, B)>;

// The routine may run on any thread, at any later time.
impl<O: Operation<B>, B: Send + 'static> Loaded<'_, O, B> {
    /// As [`launch`](Self::launch); the routine drops what it carries when the operation is left to it.
    #[inline]
    pub(crate) fn launch_to_be_left(self, observer: Option<Observer>) -> Launched<O, B, Inside> {
        self.launch_as(observer, Some(Told::<O, B, Dropped, ByItself>::end))
    }
}

impl<O: Operation<B>, B: Send + 'static, H: Home<B>> Loaded<'_, O, B, Completion, H> {
    /// As [`launch`](Self::launch), leaving the operation to its routine from the start: `end` ends it. It may do so before this returns.
    ///
    /// # Errors
    ///
    /// As for that, with `end`.
    #[inline]
    pub(crate) fn launch_unheld<T: End<O, B, H> + Send + 'static>(
        self,
        observer: Option<Observer>,
        end: T,
    ) -> Result<(), (Error, B, T)> {
        let Ready { load, call } = self.ready;
        // Finishers refuse it where they are called.
        if !fits::<T>() {
            return Err((Error::NoMemory(Memory::Irp), load.take_back().take().0, end));
        }
        let (operation, at) = load.into_operation();
        let place = Carried::beside(operation.payload()).cast::<T>();
        // SAFETY: there is room for `end`, and with it and what was loaded the operation ends as `Told` says. The
        // parameters are as for `Ready::launch`.
        let launched = unsafe {
            place.write(end);
            operation
                .launch_unheld::<Told<O, B, T, H>>(observer, |irp| call.submit(irp))
                .map_err(|refused| (refused, place.read()))
        };
        launched.map_err(|(refused, end)| {
            let (error, load) = Refused::<O, B, _>::of(refused, at).take_back();
            (error, load.take().0, end)
        })
    }
}

/// What becomes of an operation `O` that nobody holds, and that came from `H`, when it has completed. This lies in the operation.
pub(crate) trait End<O: Operation<B>, B, H>: Sized {
    /// Whether an operation that may go on does so.
    const GOES_ON: bool;

    fn end(self, over: Over<O, B, Inside<Completion, H>>);
}

/// What an operation that was left to its routine carries is dropped.
struct Dropped;

impl<O: Operation<B>, B> End<O, B, ByItself> for Dropped {
    const GOES_ON: bool = false;

    fn end(self, over: Over<O, B, Inside>) {
        over.discard();
    }
}

/// How an operation `O` ends that carries `B` and came from `H`: `T` is told.
struct Told<O, B, T, H>(PhantomData<(O, B, T, H)>);

impl<O: Operation<B>, B, T: End<O, B, H>, H: Home<B>> Unheld for Told<O, B, T, H> {
    const OBSERVED: bool = H::HOLDS;
    const GOES_ON: bool = T::GOES_ON && O::Parameters::GOES_ON;

    /// # Safety
    ///
    /// As for [`Discard`], of a block that came from `H`, and was loaded for an `O` with a `B`, and with a `T` beside it.
    #[inline]
    unsafe fn end(block: NonNull<Header>) {
        // SAFETY: the caller gives the block, which has completed, and was loaded so.
        let mut completed = unsafe {
            let operation = Idle::from_block(block.cast());
            Completed::<O, B, Inside<Completion, H>>::of(operation, Inside::NEW)
        };
        let over = loop {
            if !T::GOES_ON {
                break completed.stop();
            }
            match completed.go_on(|capture| Some(hold(capture))) {
                Ok(over) => break over,
                // The routine that comes is this one again, unless the completion has come already: a loop, so that the stack does not grow.
                Err(running) => match running.leave_unless_completed() {
                    None => return,
                    Some(again) => completed = again,
                },
            }
        };
        let place = Carried::beside(over.load.operation.payload()).cast::<T>();
        // SAFETY: as the caller says it was written there, unless it has no bytes, and it is moved out once.
        let told = unsafe { place.read() };
        told.end(over);
    }
}

/// An operation `O` that was made, and carries `B`. Dropping it leaks both.
///
/// # Invariants
///
/// The flight is that of an `O` that was loaded with a `B`, which lies at the place, and is lent.
pub(crate) struct Running<O: Operation<B>, B, W: Where<B> = Inside> {
    flight: Flight<W::Payload>,
    at: W,
    of: Of<O, B>,
}

impl<O: Operation<B>, B, X, H> Running<O, B, Inside<X, H>> {
    /// The operation of a flight.
    ///
    /// # Safety
    ///
    /// It is that of an operation that came from `H`, was loaded for an `O` with a `B`, and made; nothing else ends it.
    pub(crate) const unsafe fn of(flight: Flight<Carried<B, X>>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            flight,
            at: Inside::NEW,
            of: PhantomData,
        }
    }
}

impl<O: Operation<B>, B, W: Where<B>> Running<O, B, W> {
    #[inline]
    pub(crate) const fn flight(&self) -> &Flight<W::Payload> {
        &self.flight
    }

    #[inline]
    pub(crate) const fn flight_mut(&mut self) -> &mut Flight<W::Payload> {
        &mut self.flight
    }

    #[inline]
    pub(crate) fn into_flight(self) -> Flight<W::Payload> {
        self.flight
    }

    /// The operation when it has completed; else as it is.
    #[inline]
    pub(crate) fn complete(self) -> Result<Completed<O, B, W>, Self> {
        let Self { flight, at, of } = self;
        match flight.end() {
            // INVARIANT: it was loaded, and has completed.
            Ok(operation) => Ok(Completed(Load { operation, at, of })),
            // INVARIANT: the same.
            Err(flight) => Err(Self { flight, at, of }),
        }
    }

    /// The end of the operation, if it has completed and does not go on; else the operation. The observer, if there is one, is told of the
    /// next completion.
    #[inline]
    pub(crate) fn end(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Over<O, B, W>, Self> {
        self.complete()?.go_on(observer)
    }

    /// Leaves it to its routine, unless it has completed.
    fn leave_unless_completed(self) -> Option<Completed<O, B, W>> {
        let Self { flight, at, of } = self;
        let flight = flight.leave_unless_completed()?;
        // INVARIANT: the same.
        Self { flight, at, of }.complete().ok()
    }

    /// Leaves what it carries to the provider, if that can be: whether it was left.
    pub(crate) fn abandon(&self) -> bool {
        let place = self.at.place(self.flight.payload());
        // SAFETY: by the invariant it lies there, and is lent.
        unsafe { CarryOf::<O, B>::abandon(place) }
    }
}

/// An operation `O` that has completed, and carries `B` still.
///
/// # Invariants
///
/// It was made with its load, and has completed so. Nobody has read what has come of it.
pub(crate) struct Completed<O: Operation<B>, B, W: Where<B> = Inside>(Load<O, B, W, true>);

impl<O: Operation<B>, B, W: Where<B>> Completed<O, B, W> {
    /// The operation that was left to its routine, or that its holder has waited for.
    ///
    /// # Safety
    ///
    /// It was loaded for an `O` with a `B`, which lies at the place and is lent, and has completed; the caller gives it away.
    #[inline]
    pub(crate) const unsafe fn of(operation: Idle<W::Payload>, at: W) -> Self {
        let of = PhantomData;
        // INVARIANT: the caller says so.
        Self(Load { operation, at, of })
    }

    /// The operation, if it goes on, because it has not got all it asks for; else its end. The observer, if there is one, is told of the next
    /// completion.
    #[inline]
    pub(crate) fn go_on(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Over<O, B, W>, Running<O, B, W>> {
        let Self(mut load) = self;
        let (outcome, cancelled) = load.operation.outcome_and_cancelled();
        let more = if O::Parameters::GOES_ON {
            let place = load.place();
            // SAFETY: by the invariant it has completed with this outcome, and what it carries lies at the place, and is lent.
            unsafe {
                let places = load.operation.places();
                O::Parameters::goes_on(outcome, load.operation.arguments(), places, place)
            }
        } else {
            None
        };
        let more = match more {
            None => return Ok(Over::of(load, outcome)),
            // Who has cancelled it wants no more of it.
            Some(Ok(_)) if cancelled => Err(STATUS_CANCELLED),
            Some(more) => more,
        };
        let (load, status) = match more {
            Err(status) => (load, status),
            Ok(more) => {
                let observer = observer(more.capture());
                // INVARIANT: what goes on is that of this operation, which has the rest in its arguments.
                let call = more.call();
                match (Ready { load, call }).launch(observer, None) {
                    Ok(running) => return Err(running),
                    Err(refused) => (refused.load, refused.error.into()),
                }
            }
        };
        // What had come is counted where it goes on.
        let information = 0;
        let outcome = Outcome {
            status,
            information,
        };
        Ok(Over::of(load, outcome))
    }

    /// Its end, though it may go on.
    #[inline]
    pub(crate) fn stop(self) -> Over<O, B, W> {
        let outcome = self.0.operation.outcome();
        Over::of(self.0, outcome)
    }

    /// Frees the operation, but not what it carries beyond [a part](crate::buffer::carry::Carry::drop_part), which was left to the
    /// provider: what that borrows may be gone.
    pub(crate) fn free_abandoned(self) {
        let (operation, at) = self.0.into_operation();
        let place = at.place(operation.payload());
        // SAFETY: by the invariant it has completed; what it carries is used no more.
        unsafe { CarryOf::<O, B>::drop_part(place) };
        drop(operation);
    }
}

/// An operation `O` that has ended, and carries `B` still.
///
/// # Invariants
///
/// It has completed, for the last time. Nobody has read what has come of it.
pub(crate) struct Over<O: Operation<B>, B, W: Where<B> = Inside> {
    load: Load<O, B, W, true>,
    outcome: Outcome,
}

impl<O: Operation<B>, B, W: Where<B>> Over<O, B, W> {
    /// The end of an operation that has completed, of which nobody has this yet.
    #[inline]
    fn of(load: Load<O, B, W, true>, outcome: Outcome) -> Self {
        let mut this = Self { load, outcome };
        let (_, carried) = this.parts();
        // SAFETY: callers have the operation, which has completed, and give its outcome.
        unsafe { O::Parameters::made(outcome, carried) };
        this
    }

    /// The arguments, and what it carries, of which the provider has nothing any more.
    #[inline]
    fn parts(&mut self) -> (&mut Arguments, &mut B) {
        let place = self.load.place();
        // SAFETY: by the invariant it lies there, and nobody else uses it; both are borrowed exclusively.
        (self.load.operation.arguments(), unsafe {
            &mut *place.as_ptr()
        })
    }

    /// Has the result read, and takes back what is lent.
    #[expect(
        clippy::inline_always,
        reason = "as for what ends an operation in flight"
    )]
    #[inline(always)]
    fn read<R>(
        self,
        read: impl FnOnce(Outcome, &mut Arguments, &mut B) -> R,
    ) -> (R, Load<O, B, W, false>) {
        let mut this = self;
        let outcome = this.outcome;
        let (arguments, carried) = this.parts();
        let result = read(outcome, arguments, carried);
        (result, this.load.take_back())
    }

    /// Drops what it carries, and gives the operation back, with what has come of it unread.
    pub(crate) fn discard(self) {
        let mut this = self;
        let outcome = this.outcome;
        let (_, carried) = this.parts();
        O::unread(outcome, carried);
        drop(this);
    }
}

impl<O: Operation<B>, B> Over<O, B, Kept<B>> {
    /// Has the result read, and takes back what is lent; with the operation.
    #[expect(
        clippy::inline_always,
        reason = "as for what ends an operation in flight"
    )]
    #[inline(always)]
    pub(crate) fn read_in_place<R>(
        self,
        read: impl FnOnce(Outcome, &mut Arguments, &mut B) -> R,
    ) -> (R, Idle<()>) {
        let (result, load) = self.read(read);
        (result, load.into_operation().0)
    }
}

/// What comes of an operation: its result, what it carried, and itself.
type Unloaded<O, B, X, H> = (
    Result<<O as Operation<B>>::Output, Error>,
    B,
    Unladen<B, X, H>,
);

impl<O: Operation<B>, B, X, H> Over<O, B, Inside<X, H>> {
    /// Reads the result, and takes what was carried out of its place; with the operation, which is to go back last.
    #[expect(
        clippy::inline_always,
        reason = "as for what ends an operation in flight"
    )]
    #[inline(always)]
    pub(crate) fn unload(self) -> Unloaded<O, B, X, H> {
        let (result, load) = self.read(O::read);
        let (carried, operation) = load.take();
        (result, carried, operation)
    }

    /// [`unload`](Self::unload), and gives the operation back.
    #[inline]
    pub(crate) fn finish(self) -> (Result<O::Output, Error>, B) {
        let (result, carried, _operation) = self.unload();
        (result, carried)
    }
}

/// Lends what lies at `place`, which is not the operation's own, and puts the request's arguments into the operation.
///
/// # Errors
///
/// What is wrong with the request; then nothing is lent.
///
/// # Safety
///
/// Something lies at the place, which stays there, unused, until it is taken back.
#[inline]
pub(crate) unsafe fn lend_and_put<'t, F: Function<B>, B>(
    operation: &mut Idle<()>,
    place: NonNull<B>,
    target: TargetOf<'t, F::Operation, B>,
    function: F,
) -> Result<Bound<'t, <F::Operation as Operation<B>>::Parameters>, Error> {
    // SAFETY: the caller keeps the place, unused, until it is taken back; the operation's lock holds nothing while it is idle.
    // The operation's name in types is the lifetime of the target's borrow, of which who puts it together knows nothing.
    let (lent, places) = unsafe {
        let lent = CarryOf::<F::Operation, B>::lend::<false>(place, operation.locked())?;
        (lent, operation.places())
    };
    let put = function.put(target, lent, operation.arguments(), places);
    if put.is_err() {
        // SAFETY: lent above, and nothing was begun.
        unsafe { CarryOf::<F::Operation, B>::take_back::<false>(place, operation.locked()) };
    }
    put
}
