//! What an operation that owns what it uses carries, and how it is loaded and unloaded.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::STATUS_CANCELLED;

use crate::buffer::carry::Carry;
use crate::error::Error;
use crate::irp::{Flight, Header, Idle, NotLaunched, Observer, Outcome, Unheld};
use crate::memory::shared::Shared;
use crate::registration::Capture;
pub(crate) use crate::request::{CarryOf, TargetOf};
use crate::request::{Function, Operation, Request};
use crate::socket::calls::{Asked, Bound, Call};

/// The way in which an operation carries.
pub(crate) type WayOf<O, B> = <O as Operation<B>>::Way;

/// The most bytes that may be moved into an operation: a kernel stack, over which they go, has 24 KiB in all.
const MOST: usize = 1024;

/// The words of a completion that is told: see [`start_with`](crate::operation::Request::start_with).
pub(crate) const COMPLETION_WORDS: usize = 4;

/// The payload of an operation that owns `B`: room for it, and for the completion that is told.
#[repr(C)]
pub(crate) struct Carried<B> {
    carried: MaybeUninit<B>,
    completion: MaybeUninit<[usize; COMPLETION_WORDS]>,
}

/// The payload of an operation, with a place for what the operation carries.
///
/// # Safety
///
/// `place` gives the place of a `B` in the payload, which nothing else uses.
pub(crate) unsafe trait Carries<B>: Sized {
    fn place(payload: NonNull<Self>) -> NonNull<B>;
}

// SAFETY: it begins with that.
unsafe impl<B> Carries<B> for Carried<B> {
    #[inline]
    fn place(payload: NonNull<Self>) -> NonNull<B> {
        payload.cast()
    }
}

/// The place of the completion that is told.
pub(crate) fn completion_of<B>(payload: NonNull<Carried<B>>) -> NonNull<[usize; COMPLETION_WORDS]> {
    // SAFETY: whoever has the pointer has the payload's memory; only the address of a member is taken, which is not null.
    unsafe { NonNull::new_unchecked(&raw mut (*payload.as_ptr()).completion) }.cast()
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

/// As [`refuse_large`], for completions.
pub(crate) const fn refuse_large_completion<C>() {
    assert!(
        size_of::<C>() <= size_of::<[usize; COMPLETION_WORDS]>()
            && align_of::<C>() <= align_of::<usize>(),
        "a completion has room for four words: capture a reference, or a reference-counted pointer, instead of values"
    );
}

/// An operation that is ready to be made: a request was put into it. It is meant to be launched; dropping it leaks what it carries.
///
/// # Invariants
///
/// What lies at its place was written there and is lent, and the parameters are those of the target, the arguments and the loan.
pub(crate) struct Loaded<'t, O: Operation<B>, B, P: Carries<B>> {
    operation: Idle<P>,
    parameters: O::Parameters,
    target: TargetOf<'t, O, B>,
    of: Of<O, B>,
}

impl<'t, O: Operation<B>, B, P: Carries<B>> Loaded<'t, O, B, P> {
    /// Puts a request into an operation.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, with what it carries.
    #[inline]
    pub(crate) fn of<F: Function<B, Operation = O>>(
        operation: Idle<P>,
        request: Request<'t, F, B>,
    ) -> Result<Self, (Error, B)> {
        let Request {
            target,
            function,
            carried,
        } = request;
        let mut operation = operation;
        let place = P::place(operation.payload());
        // SAFETY: the operation is idle, so the place is not in use. What is carried stays there, and is not used while it is lent.
        let put = unsafe {
            place.write(carried);
            // Drops it when code of others unwinds.
            let undo = Unload(place);
            let put = lend_and_put::<true, _, _, _>(&mut operation, place, target, function);
            core::mem::forget(undo);
            put.map(Bound::into_call)
        };
        match put {
            // INVARIANT: written, lent and put.
            Ok(parameters) => Ok(Self {
                operation,
                parameters,
                target,
                of: PhantomData,
            }),
            // SAFETY: it was written above; what was lent was taken back.
            Err(error) => Err((error, unsafe { place.read() })),
        }
    }

    /// What it carries.
    #[inline]
    pub(crate) fn carried(&self) -> &B {
        // SAFETY: by the invariant it lies there; whoever uses the loan only does so in flight.
        unsafe { P::place(self.operation.payload()).as_ref() }
    }

    /// The capture that keeps the driver.
    #[inline]
    pub(crate) fn capture(&self) -> &Shared<Capture> {
        O::Asked::capture(self.target, self.carried())
    }

    /// The operation itself.
    #[inline]
    pub(crate) const fn operation(&mut self) -> &mut Idle<P> {
        &mut self.operation
    }

    /// Makes the request; the observer, if there is one, is told of its completion.
    ///
    /// # Errors
    ///
    /// Why it could not be made, with what it carries.
    #[inline]
    pub(crate) fn launch(self, observer: Option<Observer>) -> Result<Running<O, B, P>, (Error, B)> {
        let Self {
            operation,
            parameters,
            target: _target,
            ..
        } = self;
        // SAFETY: by the invariant what the parameters point at is in the arguments, or was lent and is in the payload, which stays until
        // the completion was seen; the target is borrowed for the call. What was not made was loaded, and is unloaded once.
        let launched = unsafe {
            let submit = |irp| parameters.submit(irp);
            match observer {
                Some(observer) => operation.launch_observed(observer, submit),
                None => operation.launch(submit),
            }
            .map_err(|refused| unload_refused::<O, B, P>(refused))
        };
        match launched {
            // INVARIANT: in flight, and loaded.
            Ok(flight) => Ok(Running {
                flight,
                of: PhantomData,
            }),
            Err((error, carried, _)) => Err((error, carried)),
        }
    }

    /// As [`launch`](Self::launch), leaving the operation to its routine from the start, which ends it as `E` says.
    ///
    /// # Errors
    ///
    /// As for that, with the operation.
    ///
    /// # Safety
    ///
    /// What `E` does with the operation may be done as soon as the IRP is passed on.
    #[inline]
    pub(crate) unsafe fn launch_unheld<E: Unheld>(
        self,
        observer: Option<Observer>,
    ) -> Result<(), (Error, B, Idle<P>)> {
        let Self {
            operation,
            parameters,
            target: _target,
            ..
        } = self;
        // SAFETY: as for `launch`; the caller vouches for what `E` does.
        unsafe {
            operation
                .launch_unheld::<E>(observer, |irp| parameters.submit(irp))
                .map_err(|refused| unload_refused::<O, B, P>(refused))
        }
    }
}

impl<O: Operation<B>, B> Loaded<'_, O, B, Carried<B>> {
    /// Has the routine drop what it carries when the operation was left to it.
    #[inline]
    pub(crate) fn discard_when_left(&mut self) {
        // SAFETY: the discard is that of what was loaded, by the invariant.
        unsafe { self.operation.set_discard(discard::<O, B>) };
    }
}

/// Takes back what was lent to an operation that was not begun, and what it carries out of it.
///
/// # Safety
///
/// The operation was loaded, for an `O`, with a `B`, which nobody else takes out.
#[cold]
#[inline(never)]
unsafe fn unload_refused<O: Operation<B>, B, P: Carries<B>>(
    refused: NotLaunched<P>,
) -> (Error, B, Idle<P>) {
    let mut operation = refused.operation;
    let place = P::place(operation.payload());
    // SAFETY: the caller keeps the same contract.
    let carried = unsafe {
        CarryOf::<O, B>::take_back::<true>(place, operation.locked());
        place.read()
    };
    (refused.error, carried, operation)
}

/// An operation `O` that was made, and carries `B` in its payload. Dropping it leaks both.
///
/// # Invariants
///
/// The flight is that of an `O` that was loaded with a `B`.
pub(crate) struct Running<O: Operation<B>, B, P: Carries<B>> {
    flight: Flight<P>,
    of: Of<O, B>,
}

impl<O: Operation<B>, B, P: Carries<B>> Running<O, B, P> {
    #[inline]
    pub(crate) const fn flight(&self) -> &Flight<P> {
        &self.flight
    }

    #[inline]
    pub(crate) const fn flight_mut(&mut self) -> &mut Flight<P> {
        &mut self.flight
    }

    #[inline]
    pub(crate) fn into_flight(self) -> Flight<P> {
        self.flight
    }

    /// The operation when it has completed; else as it is.
    #[inline]
    fn complete(self) -> Result<Over<O, B, P>, Self> {
        match self.flight.end() {
            // SAFETY: by the invariant it was loaded, and it has completed.
            Ok(operation) => Ok(unsafe { Over::of(operation) }),
            // INVARIANT: the same.
            Err(flight) => Err(Self {
                flight,
                of: PhantomData,
            }),
        }
    }

    /// The end of the operation, if it has completed and does not go on; else the operation. The observer, if there is one, is told of the
    /// next completion.
    #[inline]
    pub(crate) fn end(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Over<O, B, P>, Self> {
        self.complete()?.go_on(observer)
    }

    /// Leaves it to its routine, unless it has completed.
    pub(crate) fn leave_unless_completed(self) -> Option<Over<O, B, P>> {
        let flight = self.flight.leave_unless_completed()?;
        // INVARIANT: the same.
        let same = Self {
            flight,
            of: PhantomData,
        };
        same.complete().ok()
    }
}

/// An operation `O` that is over, and carries `B` in its payload still.
///
/// # Invariants
///
/// It was loaded for an `O` with a `B`, and has ended so. Nobody has read it.
pub(crate) struct Over<O: Operation<B>, B, P: Carries<B>> {
    ended: Ended<P>,
    of: Of<O, B>,
}

impl<O: Operation<B>, B, P: Carries<B>> Over<O, B, P> {
    /// The operation that was left to its routine, or to who ends it: it has completed.
    ///
    /// # Safety
    ///
    /// It was loaded for an `O` with a `B`, has completed, and is the caller's, who gives it away.
    #[inline]
    pub(crate) unsafe fn of(operation: Idle<P>) -> Self {
        let outcome = operation.outcome();
        // INVARIANT: the caller says so.
        Self {
            ended: Ended { outcome, operation },
            of: PhantomData,
        }
    }

    /// The operation, if it goes on; else its end.
    #[inline]
    pub(crate) fn go_on(
        self,
        observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
    ) -> Result<Self, Running<O, B, P>> {
        let place = P::place(self.payload());
        // SAFETY: by the invariant it has completed, and what was loaded lies at the place.
        match unsafe { go_on::<O, B, P>(self.ended.operation, place, observer) } {
            // INVARIANT: it goes on as what it was.
            Ok(flight) => Err(Running {
                flight,
                of: PhantomData,
            }),
            // INVARIANT: it has ended so.
            Err(ended) => Ok(Self {
                ended,
                of: PhantomData,
            }),
        }
    }

    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        self.ended.operation.payload()
    }

    /// Reads the result, and takes what was carried out of its place; with the operation, which is to go back last.
    #[expect(
        clippy::inline_always,
        reason = "as for what ends an operation in flight"
    )]
    #[inline(always)]
    pub(crate) fn unload(self) -> (Result<O::Output, Error>, B, Idle<P>) {
        let Ended {
            outcome,
            mut operation,
        } = self.ended;
        let place = P::place(operation.payload());
        // Drops it when code of others unwinds.
        let undo = Unload(place);
        // SAFETY: by the invariant it has completed, and what was loaded lies at its place, out of which it is moved once.
        let (result, carried) = unsafe {
            let lent = Lent::<O, B, P, true>::of(&mut operation, place);
            O::Parameters::made(outcome, &mut *place.as_ptr());
            let result = O::read(outcome, lent.operation.arguments(), &mut *place.as_ptr());
            drop(lent);
            core::mem::forget(undo);
            (result, place.read())
        };
        (result, carried, operation)
    }

    /// [`unload`](Self::unload), and gives the operation back.
    #[inline]
    pub(crate) fn finish(self) -> (Result<O::Output, Error>, B) {
        let (result, carried, _operation) = self.unload();
        (result, carried)
    }

    /// Drops what it carries, and gives the operation back, with what has come of it unread.
    pub(crate) fn discard(self) {
        let Ended {
            outcome,
            mut operation,
        } = self.ended;
        let place = P::place(operation.payload());
        // SAFETY: by the invariant it has completed, and what was loaded lies at its place, where it is dropped once.
        unsafe {
            O::Parameters::made(outcome, &mut *place.as_ptr());
            O::unread(outcome, &mut *place.as_ptr());
            CarryOf::<O, B>::take_back::<true>(place, operation.locked());
            place.drop_in_place();
        }
        // Given back last, also when what is dropped unwinds.
        drop(operation);
    }
}

struct Unload<B>(NonNull<B>);

impl<B> Drop for Unload<B> {
    fn drop(&mut self) {
        // SAFETY: who makes this has written there, and does not go on.
        unsafe { self.0.drop_in_place() };
    }
}

/// Lends what lies at `place`, and puts the request's arguments into the operation.
///
/// # Errors
///
/// What is wrong with the request; then nothing is lent.
///
/// # Safety
///
/// Something lies at the place, which stays there, unused, until it is taken back. An operation that owns it has it in its block, and
/// nobody else refers to it.
#[inline]
pub(crate) unsafe fn lend_and_put<'t, const OWNED: bool, F: Function<B>, B, P>(
    operation: &mut Idle<P>,
    place: NonNull<B>,
    target: TargetOf<'t, F::Operation, B>,
    function: F,
) -> Result<Bound<'t, <F::Operation as Operation<B>>::Parameters>, Error> {
    // SAFETY: the caller keeps the place, unused, until it is taken back; the operation's lock holds nothing while it is idle.
    // The operation's name in types is the lifetime of the target's borrow, of which who puts it together knows nothing.
    let (lent, places) = unsafe {
        let lent = CarryOf::<F::Operation, B>::lend::<OWNED>(place, operation.locked())?;
        (lent, operation.places())
    };
    let put = function.put(target, lent, operation.arguments(), places);
    if put.is_err() {
        // SAFETY: lent above, and nothing was begun.
        unsafe { CarryOf::<F::Operation, B>::take_back::<OWNED>(place, operation.locked()) };
    }
    put
}

/// What is lent to an operation that is over: taken back when this is dropped, also when code of others unwinds.
///
/// # Invariants
///
/// What lies at the place was lent to the operation, an `O`, and nothing else takes it back.
pub(crate) struct Lent<'o, O: Operation<B>, B, P, const OWNED: bool> {
    pub(crate) operation: &'o mut Idle<P>,
    place: NonNull<B>,
    of: Of<O, B>,
}

impl<'o, O: Operation<B>, B, P, const OWNED: bool> Lent<'o, O, B, P, OWNED> {
    /// # Safety
    ///
    /// The operation is an `O` to which what lies at the place was lent, and which is over; nothing else takes it back.
    #[inline]
    pub(crate) const unsafe fn of(operation: &'o mut Idle<P>, place: NonNull<B>) -> Self {
        // INVARIANT: the caller says so.
        Self {
            operation,
            place,
            of: PhantomData,
        }
    }
}

impl<O: Operation<B>, B, P, const OWNED: bool> Drop for Lent<'_, O, B, P, OWNED> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant it was lent, and is taken back this once.
        unsafe { CarryOf::<O, B>::take_back::<OWNED>(self.place, self.operation.locked()) };
    }
}

/// Goes on with an operation that has completed and has not got all it asks for; or gives it back as it is. `observer`, if there is
/// one, is told of the next completion.
///
/// # Safety
///
/// The operation, an `O`, has completed, with what it carries at `place`.
#[inline]
pub(crate) unsafe fn go_on<O: Operation<B>, B, P>(
    operation: Idle<P>,
    place: NonNull<B>,
    observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
) -> Result<Flight<P>, Ended<P>> {
    let mut operation = operation;
    let (outcome, cancelled) = operation.outcome_and_cancelled();
    let more = if O::Parameters::GOES_ON {
        // SAFETY: it has completed, as the caller says, who gives the place of what is carried, which is lent.
        unsafe {
            let places = operation.places();
            O::Parameters::goes_on(outcome, operation.arguments(), places, place)
        }
    } else {
        None
    };
    let more = match more {
        None => return Err(Ended { outcome, operation }),
        // Who has cancelled it wants no more of it.
        Some(Ok(_)) if cancelled => Err(STATUS_CANCELLED),
        Some(more) => more,
    };
    // What had come is counted where it goes on.
    let ended = |status, operation| {
        let information = 0;
        let outcome = Outcome {
            status,
            information,
        };
        Err(Ended { outcome, operation })
    };
    match more {
        Err(status) => ended(status, operation),
        // SAFETY: what goes on is that of this operation, which has the rest in its arguments.
        Ok(more) => unsafe {
            let submit = |irp| Call::<B>::submit(&more.call(), irp);
            let launched = match observer(more.capture()) {
                Some(observer) => operation.launch_observed(observer, submit),
                None => operation.launch(submit),
            };
            launched.or_else(|refused| ended(refused.error.into(), refused.operation))
        },
    }
}

/// An operation that has completed, with what it said.
pub(crate) struct Ended<P> {
    pub(crate) outcome: Outcome,
    pub(crate) operation: Idle<P>,
}

/// What becomes of an owned operation that is left to its routine: what it carries is dropped, and the block given back.
///
/// # Safety
///
/// As for [`Discard`](crate::irp::Discard), of a block with a `Carried<B>` that was loaded for an `O`.
unsafe fn discard<O: Operation<B>, B>(header: NonNull<Header>) {
    // SAFETY: the caller gives the block, which has completed.
    let over = unsafe { Over::<O, B, Carried<B>>::of(Idle::from_block(header.cast())) };
    over.discard();
}

/// Says which types something is of that has none of them inside.
pub(crate) type Of<O, B> = PhantomData<fn() -> (O, B)>;
