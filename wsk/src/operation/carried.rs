//! The load of an operation: how a buffer or another value is put into an operation, how the request is made, and how the load is taken out
//! at the end.
//!
//! Each type stands for one stage of an operation, and allows what that stage allows:
//!
//! * [`Unladen`]: it has room for a load.
//! * [`Load`]: it is at rest with its load, which is lent to it or not.
//! * [`Loaded`]: a request was put into it.
//! * [`Running`]: the request was made.
//! * [`Completed`]: its IRP has completed, and the operation may go on.
//! * [`Over`]: it has ended, and still has its load.

use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ptr::NonNull;

use wsk_sys::STATUS_CANCELLED;

use crate::buffer::carry::Carry;
use crate::error::{Error, Memory};
use crate::irp::{
    Arguments, Block, Discard, Flight, Header, Idle, InArena, Lock, NotLaunched, Observer, Outcome,
    Spares, Unheld,
};
use crate::irql::MayWait;
use crate::memory::Shared;
use crate::memory::arena::Taken;
use crate::registration::{Capture, hold};
pub(crate) use crate::request::{CarryOf, TargetOf};
use crate::request::{Function, Operation, Request, Way};
use crate::socket::calls::{Asked, Bound, CallParameters};

/// The way in which an operation carries.
pub(crate) type WayOf<O, B> = <O as Operation<B>>::Way;

/// The most bytes that may be moved into an operation. They move over the kernel stack, which has 24 KiB in all.
const LARGEST_CARRIED: usize = 1024;

/// The words of a completion: see [`start_with`](crate::operation::Request::start_with).
const COMPLETION_WORDS: usize = 4;

/// Room for a completion.
pub(crate) type Completion = [usize; COMPLETION_WORDS];

/// The payload of an operation whose load is in its block: room for a `B`, and for an `X` beside it.
#[repr(C)]
pub(crate) struct Carried<B, X = Completion> {
    carried: MaybeUninit<B>,
    beside: MaybeUninit<X>,
}

impl<B, X> Carried<B, X> {
    /// The place of the `X`.
    #[inline]
    pub(crate) fn beside(payload: NonNull<Self>) -> *mut X {
        let place = payload.as_ptr();
        place.wrapping_byte_add(offset_of!(Self, beside)).cast()
    }
}

/// Fails at compile time if a `B` is too large to be moved into an operation. Finishers call this themselves, so that the compiler names
/// the line that calls the finisher.
pub(crate) const fn refuse_large<B>() {
    assert!(
        size_of::<B>() <= LARGEST_CARRIED,
        "more than 1,024 bytes would be moved over the kernel stack: put them into a `NonPagedBuffer`, or wait for a request that \
         borrows them"
    );
}

/// Whether a completion fits into an operation.
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

/// An owner of operations that carry `B`: they go back to it.
pub(crate) trait Home<B>: Sized {
    /// Whether such an operation holds a reference to the capture itself.
    const HOLDS: bool;

    /// Gives an operation back.
    fn give_back(operation: Unladen<B, Completion, Self>);
}

/// Operations that go back without help: a block of the pool is freed, a block of an arena returns to the arena.
pub(crate) struct ByItself;

impl<B> Home<B> for ByItself {
    const HOLDS: bool = true;

    fn give_back(operation: Unladen<B, Completion, Self>) {
        drop(operation);
    }
}

/// The home of operations whose blocks lie in an arena. The arena holds one reference to the capture for all of them.
pub(crate) struct Pooled;

// SAFETY: it is a block, which stays in its slot, because the `Last` is a reference to the capture.
unsafe impl<B> InArena for Block<Carried<B>> {
    type Last = Shared<Capture>;

    fn hold(taken: &Taken<Self, Shared<Capture>>) -> Observer {
        hold(taken.last())
    }
}

impl<B> Home<B> for Pooled {
    const HOLDS: bool = false;

    #[inline]
    fn give_back(operation: Unladen<B, Completion, Self>) {
        let block = operation.into_operation().into_block();
        // SAFETY: by the invariant the operation is that of a block that was taken from such an arena, whose owner `taken` has got.
        drop(unsafe { Taken::<_, Shared<Capture>>::from_raw(block) });
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

// SAFETY: an operation at rest carries nothing and is bound to no thread; nothing can be done through a shared one.
unsafe impl<B, X, H> Sync for Unladen<B, X, H> {}

impl<B, X> Unladen<B, X> {
    /// Allocates an operation. IRQL: `<= DISPATCH_LEVEL`.
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
        // INVARIANT: every operation can go back by itself.
        let home = PhantomData;
        Self { operation, home }
    }
}

impl<B> Unladen<B, Completion, Pooled> {
    /// The operation of a block that was taken from an arena.
    #[inline]
    pub(crate) fn taken(block: Taken<Block<Carried<B>>, Shared<Capture>>) -> Self {
        // INVARIANT: the block came from an arena.
        let (operation, home) = (Idle::taken(block), PhantomData);
        Self { operation, home }
    }
}

impl<B, X, H> Unladen<B, X, H> {
    /// The same operation, which then goes back by itself.
    #[inline]
    pub(crate) fn by_itself(self) -> Unladen<B, X> {
        Unladen::finding_back(self.operation)
    }

    #[inline]
    pub(crate) fn into_operation(self) -> Idle<Carried<B, X>> {
        self.operation
    }
}

/// The memory in which an operation keeps its load.
///
/// # Safety
///
/// `place` returns the place of a `B`. Nothing else uses that place as long as a [`Load`] has this value together with an operation, and as
/// long as that operation is in flight.
pub(crate) unsafe trait Where<B>: Copy {
    /// The payload of the operation.
    type Payload;
    /// Whether the operation owns its load.
    const OWNED: bool;

    /// The place of the load, for an operation with this payload.
    fn place(self, payload: NonNull<Self::Payload>) -> NonNull<B>;
}

/// The load is in the block of the operation, which came from `H`, with an `X` beside it.
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

// SAFETY: the payload begins with room for a `B`, which a load uses.
unsafe impl<B, X, H> Where<B> for Inside<X, H> {
    type Payload = Carried<B, X>;
    const OWNED: bool = true;

    #[inline]
    fn place(self, payload: NonNull<Carried<B, X>>) -> NonNull<B> {
        payload.cast()
    }
}

/// The load is in the memory of a caller that waits until the operation is over.
struct Outside<B>(NonNull<B>);

impl<B> Clone for Outside<B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Outside<B> {}

// SAFETY: whoever put the load there for an operation keeps it there.
unsafe impl<B> Where<B> for Outside<B> {
    type Payload = ();
    const OWNED: bool = false;

    #[inline]
    fn place(self, _: NonNull<()>) -> NonNull<B> {
        self.0
    }
}

/// Names the types of the operation and of its load in a type that contains neither.
type Of<O, B> = PhantomData<fn() -> (O, B)>;

/// An operation `O` at rest with its load, a `B`, which is `LENT` to the operation or not. Dropping it takes back what is lent, drops the
/// load if the operation owns it, and gives the operation back.
///
/// # Invariants
///
/// A `B` lies at the place, and nothing else uses it. If `LENT`, the `B` was lent with the operation's lock.
pub(super) struct Load<O: Operation<B>, B, W: Where<B>, const LENT: bool> {
    operation: Idle<W::Payload>,
    at: W,
    of: Of<O, B>,
}

impl<O: Operation<B>, B, W: Where<B>, const LENT: bool> Load<O, B, W, LENT> {
    /// The function that takes back what was lent.
    const TAKE_BACK: unsafe fn(NonNull<B>, &mut Lock) = if W::OWNED {
        CarryOf::<O, B>::take_back::<true>
    } else {
        CarryOf::<O, B>::take_back::<false>
    };

    #[inline]
    fn place(&self) -> NonNull<B> {
        self.at.place(self.operation.payload())
    }

    /// The operation. Its load stays at its place, lent or not.
    #[inline]
    fn into_operation(self) -> (Idle<W::Payload>, W) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the operation is moved out of a value that is neither used again nor dropped.
        (
            unsafe { core::ptr::read(&raw const this.operation) },
            this.at,
        )
    }
}

impl<O: Operation<B>, B, X, H> Load<O, B, Inside<X, H>, false> {
    /// Puts a load into an operation.
    #[inline]
    fn put(operation: Unladen<B, X, H>, carried: B) -> Self {
        let (operation, at) = (operation.into_operation(), Inside::NEW);
        // SAFETY: the operation is at rest, so the place is not in use.
        unsafe { at.place(operation.payload()).write(carried) };
        // INVARIANT: the `B` was written.
        Self {
            operation,
            at,
            of: PhantomData,
        }
    }

    /// Takes the load out again.
    #[inline]
    fn take(self) -> (B, Unladen<B, X, H>) {
        let place = self.place();
        let (operation, _) = self.into_operation();
        let home = PhantomData;
        // SAFETY: by the invariant a `B` lies there; it is moved out this once.
        // INVARIANT: the type of the place says where the operation came from.
        (unsafe { place.read() }, Unladen { operation, home })
    }
}

impl<O: Operation<B>, B, X, H> Load<O, B, Inside<X, H>, false> {
    /// Lends the load to the operation, and puts a request into the operation.
    ///
    /// # Errors
    ///
    /// The error that the checks of the request found; then nothing is lent.
    // Inlined into the caller that looks at the error. Otherwise the error, and the parameters with it, go through memory.
    #[expect(clippy::inline_always, reason = "two instructions of a send")]
    #[inline(always)]
    fn lend<F: Function<B, Operation = O>>(
        self,
        target: TargetOf<'_, O, B>,
        function: F,
    ) -> Lent<O, B, X, H> {
        let mut this = self;
        let place = this.place();
        // SAFETY: by the invariant the `B` lies at the place, which nothing else uses until the `B` is taken back; the operation's lock
        // holds nothing while the operation is at rest. In types the operation's name is the lifetime of the target's borrow; the code that
        // builds an operation does not know that lifetime.
        let (lent, places) = unsafe {
            let lent = CarryOf::<O, B>::lend::<true>(place, this.operation.locked());
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
            // INVARIANT: the parameters are bound to what is lent.
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
        // INVARIANT: nothing is lent from here on, even if foreign code unwinds.
        let mut this = Load {
            operation,
            at,
            of: PhantomData,
        };
        let place = this.place();
        // SAFETY: by the invariant the `B` was lent with this lock, and the operation is at rest.
        unsafe { Self::TAKE_BACK(place, this.operation.locked()) };
        this
    }
}

impl<O: Operation<B>, B, W: Where<B>, const LENT: bool> Drop for Load<O, B, W, LENT> {
    #[inline]
    fn drop(&mut self) {
        let place = self.place();
        // SAFETY: by the invariant a `B` lies there, and was lent if `LENT`; the operation is at rest. It is dropped once.
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

/// An operation whose request can be made, with the parameters of the call.
///
/// # Invariants
///
/// The parameters were bound to the operation. What was lent to it then is still lent; what the parameters point at stays there as long as
/// this value is used.
struct Ready<O: Operation<B>, B, W: Where<B>, C: CallParameters<B>> {
    load: Load<O, B, W, true>,
    call: C,
}

/// An operation whose request can be made for the first time.
type ReadyOf<O, B, W> = Ready<O, B, W, <O as Operation<B>>::Parameters>;

/// The result of [lending](Load::lend): a request that can be made, or the error with the load, which is not lent.
type Lent<O, B, X, H> =
    Result<ReadyOf<O, B, Inside<X, H>>, (Error, Load<O, B, Inside<X, H>, false>)>;

/// What a finisher wants of a request that was not made. Each error becomes this where it arises: otherwise the usual path would store its
/// result in memory.
pub(super) trait Rejected<B>: Sized {
    /// The operation goes back.
    fn of<O: Operation<B>, X, H>(error: Error, load: Load<O, B, Inside<X, H>, false>) -> Self;
}

/// The load is moved out.
impl<B> Rejected<B> for (Error, B) {
    #[inline]
    fn of<O: Operation<B>, X, H>(error: Error, load: Load<O, B, Inside<X, H>, false>) -> Self {
        (error, load.take().0)
    }
}

/// The load is dropped in its place.
impl<B> Rejected<B> for Error {
    #[inline]
    fn of<O: Operation<B>, X, H>(error: Self, load: Load<O, B, Inside<X, H>, false>) -> Self {
        drop(load);
        error
    }
}

impl<O: Operation<B>, B, W: Where<B>, C: CallParameters<B>> Ready<O, B, W, C> {
    /// Makes the request. The observer, if there is one, is notified of its completion. If the operation is left to its completion routine,
    /// `discard` ends it.
    ///
    /// # Errors
    ///
    /// The reason why the request could not be made, with the load.
    #[inline]
    fn launch(
        self,
        observer: Option<Observer>,
        discard: Option<Discard>,
    ) -> Result<Running<O, B, W>, Refused<O, B, W>> {
        let Self { load, call } = self;
        let (mut operation, at) = load.into_operation();
        // SAFETY: by the invariant what the parameters point at is in the arguments, or was lent and stays at its place, until the
        // operation has completed. The callers pass a `discard` that fits such an operation.
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

/// An operation whose request was not made, and the reason.
struct Refused<O: Operation<B>, B, W: Where<B>> {
    error: Error,
    load: Load<O, B, W, true>,
}

impl<O: Operation<B>, B, W: Where<B>> Refused<O, B, W> {
    #[inline]
    fn of(refused: NotLaunched<W::Payload>, at: W) -> Self {
        // INVARIANT: the callers have launched a loaded operation.
        let load = Load {
            operation: refused.operation,
            at,
            of: PhantomData,
        };
        let error = refused.error;
        Self { error, load }
    }

    /// Takes back what is lent.
    #[cold]
    #[inline(never)]
    fn take_back(self) -> (Error, Load<O, B, W, false>) {
        (self.error, self.load.take_back())
    }
}

/// An operation into which a request was put, ready to be launched.
pub(crate) struct Loaded<'t, O: Operation<B>, B, X = Completion, H = ByItself> {
    ready: Ready<O, B, Inside<X, H>, O::Parameters>,
    target: TargetOf<'t, O, B>,
}

impl<'t, O: Operation<B>, B, X, H> Loaded<'t, O, B, X, H> {
    /// Puts a request into an operation.
    ///
    /// # Errors
    ///
    /// The error that the checks of the request found, with the load.
    #[inline]
    pub(super) fn of<F: Function<B, Operation = O>, E: Rejected<B>>(
        operation: Unladen<B, X, H>,
        request: Request<'t, F, B>,
    ) -> Result<Self, E> {
        let Request {
            target,
            function,
            carried,
        } = request;
        match Load::put(operation, carried).lend(target, function) {
            Ok(ready) => Ok(Self { ready, target }),
            Err((error, load)) => Err(E::of(error, load)),
        }
    }

    /// The load.
    #[inline]
    pub(crate) fn carried(&self) -> &B {
        // SAFETY: by the invariant of the load a `B` lies there; whoever uses what is lent of it does so in flight only.
        unsafe { self.ready.load.place().as_ref() }
    }

    /// The capture that keeps the driver.
    #[inline]
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        O::Asked::capture(self.target, self.carried())
    }

    /// Makes the request. The observer, if there is one, is notified of its completion. The operation must not be left to its completion
    /// routine.
    ///
    /// # Errors
    ///
    /// The reason why the request could not be made, with the load.
    #[inline]
    pub(super) fn launch<E: Rejected<B>>(
        self,
        observer: Option<Observer>,
    ) -> Result<Running<O, B, Inside<X, H>>, E> {
        self.launch_as(observer, None)
    }

    #[inline]
    fn launch_as<E: Rejected<B>>(
        self,
        observer: Option<Observer>,
        discard: Option<Discard>,
    ) -> Result<Running<O, B, Inside<X, H>>, E> {
        match self.ready.launch(observer, discard) {
            Ok(running) => Ok(running),
            Err(refused) => {
                let (error, load) = refused.take_back();
                Err(E::of(error, load))
            }
        }
    }
}

// The load must be `Send + 'static`: the completion routine may run on any thread, at any later time.
impl<O: Operation<B>, B: Send + 'static> Loaded<'_, O, B> {
    /// As [`launch`](Self::launch). If the operation is left to its completion routine, the routine drops the load.
    #[inline]
    pub(super) fn launch_to_be_left<E: Rejected<B>>(
        self,
        observer: Option<Observer>,
    ) -> Result<Running<O, B>, E> {
        self.launch_as(observer, Some(EndsWith::<O, B, Dropped, ByItself>::end))
    }
}

impl<O: Operation<B>, B: Send + 'static, H: Home<B>> Loaded<'_, O, B, Completion, H> {
    /// As [`launch`](Self::launch), but leaves the operation to its completion routine from the start: `end` ends it, perhaps before this
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of [`launch`](Self::launch), with `end`.
    #[inline]
    pub(crate) fn launch_unheld<T: End<O, B, H> + Send + 'static>(
        self,
        observer: Option<Observer>,
        end: T,
    ) -> Result<(), (Error, B, T)> {
        let Ready { load, call } = self.ready;
        // The finishers refuse a larger `T` at compile time.
        if !fits::<T>() {
            return Err((Error::NoMemory(Memory::Irp), load.take_back().take().0, end));
        }
        let (operation, at) = load.into_operation();
        let place = Carried::beside(operation.payload()).cast::<T>();
        // SAFETY: there is room for `end`. With `end` and what was loaded the operation ends as `EndsWith` says. The parameters are as for
        // `Ready::launch`.
        let launched = unsafe {
            place.write(end);
            operation
                .launch_unheld::<EndsWith<O, B, T, H>>(observer, |irp| call.submit(irp))
                .map_err(|refused| (refused, place.read()))
        };
        launched.map_err(|(refused, end)| {
            let (error, load) = Refused::<O, B, _>::of(refused, at).take_back();
            (error, load.take().0, end)
        })
    }
}

/// Ends an operation `O` that nobody holds, and that came from `H`, when it has completed. The value lies in the operation.
pub(crate) trait End<O: Operation<B>, B, H>: Sized {
    /// Whether an operation that may go on goes on.
    const GOES_ON: bool;

    fn end(self, over: Over<O, B, Inside<Completion, H>>);
}

/// Drops the load of an operation that was left to its completion routine.
struct Dropped;

impl<O: Operation<B>, B> End<O, B, ByItself> for Dropped {
    const GOES_ON: bool = false;

    fn end(self, over: Over<O, B, Inside>) {
        over.discard();
    }
}

/// Ends an operation `O` that carries `B` and came from `H`: passes it to the `T` that lies beside the load.
struct EndsWith<O, B, T, H>(PhantomData<(O, B, T, H)>);

impl<O: Operation<B>, B, T: End<O, B, H>, H: Home<B>> Unheld for EndsWith<O, B, T, H> {
    const OBSERVED: bool = H::HOLDS;
    const GOES_ON: bool = T::GOES_ON && O::Parameters::GOES_ON;

    /// # Safety
    ///
    /// As for [`Discard`], for a block that came from `H`, and was loaded for an `O` with a `B`, and with a `T` beside it.
    #[inline]
    unsafe fn end(block: NonNull<Header>) {
        // SAFETY: the caller gives away the block, which has completed, and was loaded for these types.
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
                // The next completion calls this function again, unless it has come already. Then a loop takes the place of recursion: the
                // stack must not grow.
                Err(running) => match running.detach_unless_completed() {
                    None => return,
                    Some(again) => completed = again,
                },
            }
        };
        let place = Carried::beside(over.load.operation.payload()).cast::<T>();
        // SAFETY: by the caller's contract the `T` was written there (or has no bytes), and it is moved out once.
        let end = unsafe { place.read() };
        end.end(over);
    }
}

/// An operation `O` whose request was made, with its load, a `B`. Dropping it leaks both.
///
/// # Invariants
///
/// The flight is that of an `O` that was loaded with a `B`; the `B` lies at the place, and is lent.
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
    /// The flight is that of an operation that came from `H`, was loaded for an `O` with a `B`, and whose request was made; nothing else
    /// ends it.
    pub(crate) const unsafe fn of(flight: Flight<Carried<B, X>>) -> Self {
        // INVARIANT: by the contract of this function.
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

    /// The completed operation; if it has not completed, the operation as it is.
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

    /// The end of the operation, if it has completed and does not go on; else the operation. The observer, if there is one, is notified of the
    /// next completion.
    #[inline]
    pub(crate) fn end(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Over<O, B, W>, Self> {
        self.complete()?.go_on(observer)
    }

    /// Leaves the operation to its completion routine, unless it has completed.
    fn detach_unless_completed(self) -> Option<Completed<O, B, W>> {
        let Self { flight, at, of } = self;
        let operation = flight.detach_unless_completed()?;
        // INVARIANT: it was loaded, and has completed.
        Some(Completed(Load { operation, at, of }))
    }

    /// Leaves the load to the provider, if the load allows that. Returns whether it was left.
    pub(crate) fn abandon(&self) -> bool {
        let place = self.at.place(self.flight.payload());
        // SAFETY: by the invariant a `B` lies there, and is lent.
        unsafe { CarryOf::<O, B>::abandon(place) }
    }
}

/// An operation `O` that has completed, and still has its load, a `B`.
///
/// # Invariants
///
/// The request was made with this load, and the operation has completed with it. Nobody has read the result.
pub(crate) struct Completed<O: Operation<B>, B, W: Where<B> = Inside>(Load<O, B, W, true>);

impl<O: Operation<B>, B, W: Where<B>> Completed<O, B, W> {
    /// An operation that was left to its completion routine, or whose holder has waited for it.
    ///
    /// # Safety
    ///
    /// The operation was loaded for an `O` with a `B`, which lies at the place and is lent, and it has completed; the caller gives it away.
    #[inline]
    pub(crate) const unsafe fn of(operation: Idle<W::Payload>, at: W) -> Self {
        let of = PhantomData;
        // INVARIANT: by the contract of this function.
        Self(Load { operation, at, of })
    }

    /// Makes the next request of an operation that has not got all it asks for, and returns the operation; else its end. The observer, if
    /// there is one, is notified of the next completion.
    #[inline]
    pub(crate) fn go_on(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Over<O, B, W>, Running<O, B, W>> {
        let Self(load) = self;
        if !O::Parameters::GOES_ON {
            let outcome = load.operation.outcome();
            return Ok(Over::of(load, outcome));
        }
        let (place, of) = (load.place(), PhantomData);
        let (operation, at) = load.into_operation();
        // SAFETY: by the invariant the operation was loaded so, and has completed.
        match unsafe { go_on::<O, B, _>(operation, place, observer) } {
            // INVARIANT: in flight again, with the same load.
            Ok(flight) => Err(Running { flight, at, of }),
            Err(operation) => {
                let outcome = operation.outcome();
                // INVARIANT: still lent.
                Ok(Over::of(Load { operation, at, of }, outcome))
            }
        }
    }

    /// The end of the operation, even if it could go on.
    #[inline]
    pub(crate) fn stop(self) -> Over<O, B, W> {
        let outcome = self.0.operation.outcome();
        Over::of(self.0, outcome)
    }

    /// Frees an operation whose load was left to the provider. Of the load it drops only [a part](crate::buffer::carry::Carry::drop_part):
    /// the memory that the rest borrows may be gone.
    pub(crate) fn free_abandoned(self) {
        let (operation, at) = self.0.into_operation();
        let place = at.place(operation.payload());
        // SAFETY: by the invariant the operation has completed; its load is not used again.
        unsafe { CarryOf::<O, B>::drop_part(place) };
        drop(operation);
    }
}

/// Makes the next request of an operation that has not got all it asks for. Otherwise returns the operation, with the outcome of all its
/// requests. The observer, if there is one, is notified of the next completion.
///
/// # Safety
///
/// The operation was loaded for an `O` with the `B` at the place, which is lent; its request was made, and has completed. Nothing else uses
/// the place until the operation is over.
pub(super) unsafe fn go_on<O: Operation<B>, B, P>(
    operation: Idle<P>,
    place: NonNull<B>,
    observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
) -> Result<Flight<P>, Idle<P>> {
    let mut operation = operation;
    let (outcome, cancelled) = operation.outcome_and_cancelled();
    // SAFETY: the operation has completed with this outcome, and its load lies at the place, and is lent. The next call belongs to this
    // operation, whose arguments describe the rest. `more` keeps the socket open until the call has returned.
    let status = unsafe {
        let places = operation.places();
        match O::Parameters::goes_on(outcome, operation.arguments(), places, place) {
            None => return Err(operation),
            Some(Err(status)) => status,
            // A cancelled operation does not go on.
            Some(Ok(_)) if cancelled => STATUS_CANCELLED,
            Some(Ok(more)) => {
                let (observer, call) = (observer(more.capture()), more.call());
                match operation.launch(observer, |irp| CallParameters::<B>::submit(&call, irp)) {
                    Ok(flight) => return Ok(flight),
                    Err(refused) => {
                        operation = refused.operation;
                        refused.error.into()
                    }
                }
            }
        }
    };
    // The outcome counts no bytes: `goes_on` has counted those that had come.
    let information = 0;
    operation.set_outcome(Outcome {
        status,
        information,
    });
    Err(operation)
}

/// An operation `O` that has ended, and still has its load, a `B`.
///
/// # Invariants
///
/// The operation has completed for the last time. Nobody has read the result.
pub(crate) struct Over<O: Operation<B>, B, W: Where<B> = Inside> {
    load: Load<O, B, W, true>,
    outcome: Outcome,
}

impl<O: Operation<B>, B, W: Where<B>> Over<O, B, W> {
    /// The end of a completed operation. It is made once for each operation.
    #[inline]
    fn of(load: Load<O, B, W, true>, outcome: Outcome) -> Self {
        let mut this = Self { load, outcome };
        let (_, carried) = this.parts();
        // SAFETY: the callers own the operation, which has completed, and pass its outcome.
        unsafe { O::Parameters::made(outcome, carried) };
        this
    }

    /// The arguments and the load. The provider has no pointer to either any more.
    #[inline]
    fn parts(&mut self) -> (&mut Arguments, &mut B) {
        let place = self.load.place();
        // SAFETY: by the invariant a `B` lies there, and nobody else uses it; both are borrowed exclusively.
        (self.load.operation.arguments(), unsafe {
            &mut *place.as_ptr()
        })
    }

    /// Calls `read` for the result, and takes back what is lent.
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

    /// Drops the load and gives the operation back. Nobody reads the result.
    pub(crate) fn discard(self) {
        let mut this = self;
        let outcome = this.outcome;
        let (_, carried) = this.parts();
        O::unread(outcome, carried);
        drop(this);
    }
}

/// The result of an operation, its load, and the operation itself.
type Unloaded<O, B, X, H> = (
    Result<<O as Operation<B>>::Output, Error>,
    B,
    Unladen<B, X, H>,
);

impl<O: Operation<B>, B, X, H> Over<O, B, Inside<X, H>> {
    /// Reads the result and takes the load out of its place. The operation comes with them, and must be given back last.
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

    /// Reads the result, drops the rest of the load in its place, and gives the operation back.
    #[inline]
    pub(crate) fn result(self) -> Result<O::Output, Error> {
        self.read(O::read).0
    }

    /// [`unload`](Self::unload), and gives the operation back.
    #[inline]
    pub(crate) fn finish(self) -> (Result<O::Output, Error>, B) {
        let (result, carried, _operation) = self.unload();
        (result, carried)
    }
}

/// How long the maker of a request `O` waits for its end.
pub(crate) trait Patience<O: Operation<B>, B>: Sized {
    /// Whether the wait may end before the request does. If not, there is never a `Means`.
    const ENDS: bool;
    /// The means to end the wait.
    type Means;

    /// Gets the means ready, before the request is made.
    fn get_ready(self, target: TargetOf<'_, O, B>) -> Result<Self::Means, Error>;

    /// Waits for a request that has not completed when its call returns. Returns whether it has completed; if not, its provider has had
    /// time enough.
    fn outlast(
        target: TargetOf<'_, O, B>,
        flight: &Flight<()>,
        means: Option<&mut Self::Means>,
        may_wait: MayWait,
    ) -> bool;

    /// Reads the result of the operation, which is over.
    fn read(
        means: Option<Self::Means>,
        outcome: Outcome,
        arguments: &mut Arguments,
        carried: &mut B,
    ) -> Result<O::Output, Error>;
}

/// The result of waiting for a request.
pub(crate) type Waited<F, B> = <WayOf<<F as Function<B>>::Operation, B> as Way<B>>::Waited<
    <<F as Function<B>>::Operation as Operation<B>>::Output,
>;

/// Makes a request and waits until it is over. The load stays in the frame of this function, which nobody else has: it does not return
/// before the load was taken back, or left to the provider.
// The usual path goes straight through. Everything else leaves it early.
#[inline(always)]
pub(crate) fn run_in_place<F: Function<B>, B, P: Patience<F::Operation, B>>(
    request: Request<'_, F, B>,
    patience: P,
    may_wait: MayWait,
) -> Waited<F, B> {
    type WayIn<F, B> = WayOf<<F as Function<B>>::Operation, B>;

    const {
        assert!(
            !<<F::Operation as Operation<B>>::Parameters as CallParameters<B>>::POINTS_INTO_CARRIED,
            "a provider may keep what points into this call's stack: wait for an operation that owns it"
        );
    }
    let (target, function, mut carried) = (request.target, request.function, request.carried);
    let (place, of) = (NonNull::from(&mut carried), PhantomData);
    let near = <F::Operation as Operation<B>>::Asked::near(target);
    let target = <F::Operation as Operation<B>>::Asked::far(&near);
    // The operation goes back to the place that it came from.
    let spares = <F::Operation as Operation<B>>::Asked::spares(target);
    let mut operation = match spares.and_then(Spares::take).map_or_else(Idle::new, Ok) {
        Ok(operation) => operation,
        Err(error) => return WayIn::<F, B>::waited(Err(error), carried),
    };
    operation.arm(None);
    // SAFETY: `carried` lies there, and is not used before it is taken back.
    let mut call = match unsafe { lend_and_put(&mut operation, place, target, function) } {
        Ok(bound) => bound.into_call(),
        Err(error) => {
            give_back_after_error(spares, operation);
            return WayIn::<F, B>::waited(Err(error), carried);
        }
    };
    let at = Outside(place);
    let mut means = None;
    if P::ENDS {
        call.may_end_early();
        // INVARIANT: lent.
        let load = Load::<F::Operation, B, _, true> { operation, at, of };
        match patience.get_ready(target) {
            Ok(ready) => means = Some(ready),
            Err(error) => {
                give_back_after_error(spares, load.take_back().into_operation().0);
                return WayIn::<F, B>::waited(Err(error), carried);
            }
        }
        (operation, _) = load.into_operation();
    }
    // SAFETY: what the parameters point at is in the arguments, or was lent and stays at its place, until the operation has completed: this
    // function does not return before, unless the load was left to the provider. The operation was armed above.
    let launched = unsafe { operation.launch_armed(|irp| call.submit(irp)) };
    let passed = match launched {
        Ok(passed) => passed,
        Err(NotLaunched { operation, error }) => {
            // INVARIANT: still lent.
            let load = Load::<F::Operation, B, _, true> { operation, at, of };
            give_back_after_error(spares, load.take_back().into_operation().0);
            return WayIn::<F, B>::waited(Err(error), carried);
        }
    };
    let mut end = passed.end();
    let over = loop {
        let operation = match end {
            Ok(operation) => operation,
            Err(flight) => {
                let means = if P::ENDS { means.as_mut() } else { None };
                // INVARIANT: in flight, with its load.
                match outlast::<F::Operation, B, P>(near.clone(), flight, means, at, may_wait) {
                    Ok(operation) => operation,
                    Err(error) => return WayIn::<F, B>::lost(error, carried),
                }
            }
        };
        // INVARIANT: it was loaded, and has completed.
        let completed = Completed::<F::Operation, B, _>(Load { operation, at, of });
        // No observer, as before: the caller keeps the driver loaded. If the operation is left behind, `outlast` gives it an observer.
        match completed.go_on(|_| None) {
            Ok(over) => break over,
            Err(next) => end = next.into_flight().end(),
        }
    };
    let (result, load) =
        over.read(|outcome, arguments, carried| P::read(means, outcome, arguments, carried));
    let (operation, _) = load.into_operation();
    match result {
        Ok(output) => {
            let waited = WayIn::<F, B>::waited(Ok(output), carried);
            give_back(spares, operation);
            waited
        }
        Err(error) => {
            give_back_after_error(spares, operation);
            WayIn::<F, B>::waited(Err(error), carried)
        }
    }
}

/// Gives an operation back.
#[inline]
fn give_back(spares: Option<&Spares<2>>, operation: Idle<()>) {
    match spares {
        Some(spares) => spares.put(operation),
        None => drop(operation),
    }
}

/// As [`give_back`].
#[cold]
#[inline(never)]
fn give_back_after_error(spares: Option<&Spares<2>>, operation: Idle<()>) {
    give_back(spares, operation);
}

/// Waits for an operation that had not completed when its call returned, and returns it when it has completed. The flight is that of an `O`
/// that was loaded with the `B` at the place, which is lent.
///
/// # Errors
///
/// The error that says that the load was left to the provider.
#[expect(
    clippy::needless_pass_by_value,
    reason = "else it would lie in memory also where nothing is outlasted"
)]
#[inline(never)]
fn outlast<O: Operation<B>, B, P: Patience<O, B>>(
    near: <O::Asked as Asked<B>>::Near<'_>,
    flight: Flight<()>,
    means: Option<&mut P::Means>,
    at: Outside<B>,
    may_wait: MayWait,
) -> Result<Idle<()>, Error> {
    let target = O::Asked::far(&near);
    // If foreign code unwinds, this waits: borrowed memory must not go before the IRP has completed.
    let outlasted = Outlasted(&flight, may_wait);
    let mut abandoned = None;
    if !P::outlast(target, &flight, means, may_wait) {
        let Outside(place) = at;
        // SAFETY: the `B` lies there, and was lent; the memory that is left to the provider is not inside it.
        unsafe {
            if CarryOf::<O, B>::abandon(place) {
                abandoned = Some(place.as_ref());
            }
        }
    }
    core::mem::forget(outlasted);
    if let Some(carried) = abandoned {
        let (call, status) = (O::CALL, flight.returned());
        // The completion routine runs when the IRP completes, if it ever does. The driver must still be loaded then.
        flight.detach_observed(hold(O::Asked::capture(target, carried)));
        return Err(Error::Abandoned { call, status });
    }
    let mut flight = flight;
    loop {
        match flight.end() {
            Ok(operation) => return Ok(operation),
            Err(again) => flight = again,
        }
        flight.wait(may_wait, None);
    }
}

/// Waits for a flight when it is dropped.
struct Outlasted<'f>(&'f Flight<()>, MayWait);

impl Drop for Outlasted<'_> {
    fn drop(&mut self) {
        self.0.wait(self.1, None);
    }
}

/// Lends the value at `place`, which the operation does not own, and puts the request's arguments into the operation.
///
/// # Errors
///
/// The error that the checks of the request found; then nothing is lent.
///
/// # Safety
///
/// A `B` lies at the place, and stays there, unused, until it is taken back.
#[inline]
pub(crate) unsafe fn lend_and_put<'t, F: Function<B>, B>(
    operation: &mut Idle<()>,
    place: NonNull<B>,
    target: TargetOf<'t, F::Operation, B>,
    function: F,
) -> Result<Bound<'t, <F::Operation as Operation<B>>::Parameters>, Error> {
    // SAFETY: the caller keeps the place, unused, until the `B` is taken back; the operation's lock holds nothing while the operation is
    // idle. In types the operation's name is the lifetime of the target's borrow; the code that builds an operation does not know that
    // lifetime.
    let (lent, places) = unsafe {
        let lent = CarryOf::<F::Operation, B>::lend::<false>(place, operation.locked())?;
        (lent, operation.places())
    };
    let put = function.put(target, lent, operation.arguments(), places);
    if put.is_err() {
        // SAFETY: the `B` was lent above, and no request was made.
        unsafe { CarryOf::<F::Operation, B>::take_back::<false>(place, operation.locked()) };
    }
    put
}
