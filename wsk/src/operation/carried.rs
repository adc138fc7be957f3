//! What an operation that owns what it uses carries, and how it is loaded and unloaded.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wsk_sys::STATUS_CANCELLED;

use crate::buffer::Lock;
use crate::error::Error;
use crate::irp::{Answer, Flight, Header, Idle, Observer, Outcome};
use crate::memory::shared::Shared;
use crate::registration::{Capture, hold};
use crate::request::{Function, Operation, Way};

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

/// The place of what an operation carries.
#[inline]
pub(crate) fn place_of<B>(payload: NonNull<Carried<B>>) -> NonNull<B> {
    // It begins with that.
    payload.cast()
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
        "a completion has room for four words: capture a reference, or what counts references, instead of values"
    );
}

/// Moves `carried` to its place in an operation, lends it, and puts the request's arguments there: its parameters.
///
/// # Errors
///
/// What is wrong with the request, with what it carries.
#[inline]
pub(crate) fn load<F: Function<B>, B, P>(
    operation: &mut Idle<P>,
    place: NonNull<B>,
    target: <F::Operation as Operation<B>>::Target<'_>,
    function: F,
    carried: B,
) -> Result<<F::Operation as Operation<B>>::Parameters, (Error, B)> {
    // SAFETY: callers give a place in the operation's payload, which is not in use.
    unsafe { place.write(carried) };
    // Drops it when code of others unwinds.
    let undo = Unload(place);
    let loaded = lend_and_put(operation, place, target, function);
    core::mem::forget(undo);
    // SAFETY: it was written above; what was lent was taken back.
    loaded.map_err(|error| (error, unsafe { place.read() }))
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
#[inline]
pub(crate) fn lend_and_put<F: Function<B>, B, P>(
    operation: &mut Idle<P>,
    place: NonNull<B>,
    target: <F::Operation as Operation<B>>::Target<'_>,
    function: F,
) -> Result<<F::Operation as Operation<B>>::Parameters, Error> {
    // SAFETY: callers keep the place, unused, until it is taken back; the operation's lock holds nothing while it is idle.
    let lent = unsafe { WayOf::<F::Operation, B>::lend(place, Lock::of(operation.locked())) }?;
    let places = operation.places();
    let put = function.put(target, lent, operation.arguments(), places);
    if put.is_err() {
        // SAFETY: lent above, and nothing was begun.
        unsafe { WayOf::<F::Operation, B>::take_back(place, Lock::of(operation.locked())) };
    }
    put
}

/// The observer of an operation that goes on and holds the capture by itself.
#[inline]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is given where there may be none"
)]
pub(crate) fn held(capture: &Shared<Capture>) -> Option<Observer> {
    Some(hold(capture))
}

/// What is lent to an operation that is over: taken back when this is dropped, also when code of others unwinds.
///
/// # Invariants
///
/// What lies at the place was lent to the operation, an `O`, and nothing else takes it back.
pub(crate) struct Lent<'o, O: Operation<B>, B, P> {
    pub(crate) operation: &'o mut Idle<P>,
    place: NonNull<B>,
    of: Of<O, B>,
}

impl<'o, O: Operation<B>, B, P> Lent<'o, O, B, P> {
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

impl<O: Operation<B>, B, P> Drop for Lent<'_, O, B, P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant it was lent, and is taken back this once.
        unsafe { WayOf::<O, B>::take_back(self.place, Lock::of(self.operation.locked())) };
    }
}

/// Goes on with an operation that has completed and has not got all it asks for; or gives it back as it is. `observer`, if there is
/// one, is told of the next completion.
///
/// # Safety
///
/// The flight has completed; its payload is a `Carried<B>`, or what begins with a `B` at `place`.
#[inline]
pub(crate) unsafe fn go_on<O: Operation<B>, B, P>(
    flight: Flight<P>,
    place: NonNull<B>,
    observer: impl FnOnce(&Shared<Capture>) -> Option<Observer>,
) -> Result<Flight<P>, Ended<P>> {
    // SAFETY: it has completed, as the caller says, who gives the place of what is carried.
    let (outcome, cancelled, operation, more) = unsafe {
        let (outcome, cancelled, mut operation) =
            (flight.outcome(), flight.is_cancelled(), flight.end());
        let places = operation.places();
        let more = if O::GOES_ON {
            O::goes_on(outcome, operation.arguments(), places, place)
        } else {
            None
        };
        (outcome, cancelled, operation, more)
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
            let submit = |irp| more.submit(irp);
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

impl<P> Ended<P> {
    /// Reads the result, and takes what was carried out of its place.
    ///
    /// # Safety
    ///
    /// The operation is an `O` over what lies at `place`, and was not read before.
    #[inline]
    pub(crate) unsafe fn unload<O: Operation<B>, B>(
        self,
        place: NonNull<B>,
    ) -> (Result<O::Output, Error>, B) {
        let Self {
            outcome,
            mut operation,
        } = self;
        // Drops it when code of others unwinds.
        let undo = Unload(place);
        // SAFETY: it has completed, and the caller vouches for the place, out of which it is moved once.
        unsafe {
            let lent = Lent::<O, B, P>::of(&mut operation, place);
            let result = O::read(outcome, lent.operation.arguments(), &mut *place.as_ptr());
            drop(lent);
            core::mem::forget(undo);
            (result, place.read())
        }
        // The operation goes back last.
    }
}

/// What becomes of an owned operation that is left to its routine: what it carries is dropped, and the block given back.
///
/// # Safety
///
/// As for [`Discard`](crate::irp::Discard), of a block with a `Carried<B>` that was loaded for an `O`.
pub(crate) unsafe fn discard<O: Operation<B>, B>(header: NonNull<Header>) {
    // SAFETY: the caller gives the block, which has completed.
    unsafe {
        let flight = Flight::<Carried<B>>::from_raw(header.cast(), Answer::NONE);
        let (outcome, place) = (flight.outcome(), place_of(flight.payload()));
        // Given back last, also when what is dropped unwinds.
        let mut operation = flight.end();
        O::unread(outcome, &mut *place.as_ptr());
        WayOf::<O, B>::take_back(place, Lock::of(operation.locked()));
        place.drop_in_place();
    }
}

/// Says which types something is of that has none of them inside.
pub(crate) type Of<O, B> = PhantomData<fn() -> (O, B)>;
