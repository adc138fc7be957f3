//! [`Flight`]: an operation whose IRP is with the provider, or has come back.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::task::{Context, Waker};
use core::time::Duration;

use wsk_sys::{IoCancelIrp, NTSTATUS};

use crate::irp::alarm;
use crate::irp::answer::Answer;
use crate::irp::block::{Block, Header, Idle};
use crate::irp::observer::Observer;
use crate::irp::routine::discard;
use crate::irp::state::Retract;
use crate::irql::MayWait;
use crate::memory::event::{Event, pause};
use crate::time::{GRACE, now};

/// What polling a flight has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing yet: the waker will be woken.
    Pending,
    /// The IRP has completed.
    Completed,
    /// The provider has answered with an error, and keeps the IRP, against its contract.
    GivenUp,
}

/// A request that was made: its IRP is with the provider, or has come back.
///
/// Dropping it leaks block and payload; it is meant to end in [`end`](Self::end) or [`leave`](Self::leave).
///
/// # Invariants
///
/// `block` is in flight or completed, and this is its only holder.
#[must_use]
pub struct Flight<P> {
    block: NonNull<Block<P>>,
    payload: PhantomData<P>,
}

/// A flight whose call has just returned, and what it returned: not noted yet, because who finds that it has completed does not ask.
#[must_use]
pub(crate) struct Passed<P> {
    flight: Flight<P>,
    returned: NTSTATUS,
}

impl<P> Passed<P> {
    #[inline]
    pub(super) const fn of(flight: Flight<P>, returned: NTSTATUS) -> Self {
        Self { flight, returned }
    }

    /// The flight.
    #[inline]
    pub(crate) fn flight(self) -> Flight<P> {
        let answer = Answer::new(self.returned);
        self.flight.header().answer.set(answer);
        self.flight
    }

    /// As [`Flight::end`].
    #[inline]
    pub(crate) fn end(self) -> Result<Idle<P>, Flight<P>> {
        let Self { flight, returned } = self;
        flight
            .end()
            .map_err(|flight| Self { flight, returned }.flight())
    }
}

// SAFETY: holding a flight is holding the payload, and nothing of a block is bound to a thread.
unsafe impl<P: Send> Send for Flight<P> {}

impl<P> Flight<P> {
    #[inline]
    pub(super) const fn of(block: NonNull<Block<P>>) -> Self {
        Self {
            block,
            payload: PhantomData,
        }
    }

    #[inline]
    fn block(&self) -> &Block<P> {
        // SAFETY: by the invariant the block is there as long as `self`; what changes in it is in cells.
        unsafe { self.block.as_ref() }
    }

    #[inline]
    fn header(&self) -> &Header {
        &self.block().header
    }

    #[inline]
    fn held(&self) -> Held<'_> {
        // INVARIANT: this is the one holder, and on one thread as long as it is borrowed.
        Held(self.header())
    }

    /// Whether the IRP has completed: then the flight can [end](Self::end).
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        self.header().state.is_completed()
    }

    /// What the call returned.
    #[inline]
    pub(crate) fn returned(&self) -> NTSTATUS {
        self.header().answer.get().returned()
    }

    /// Asks the provider to cancel the request. Its completion comes all the same, exactly once. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn cancel(&self) {
        // SAFETY: the IRP is initialised, and by the invariant it is neither reused nor freed as long as this exists. Where it
        // has completed, and the provider's cancel routine is gone from it, the call only sets a flag.
        unsafe { IoCancelIrp(self.header().irp()) };
    }

    /// Waits until the IRP has completed, or for at most `limit`; says whether it has. A waker that was announced is dropped when it has,
    /// and may unwind: whoever holds a flight that was polled gives it up when dropped.
    #[inline]
    pub(crate) fn wait(&self, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.is_completed() || self.held().wait(may_wait, limit)
    }

    /// As [`wait`](Self::wait), or until `other` is set.
    pub(crate) fn wait_or(
        &self,
        other: &Event,
        may_wait: MayWait,
        limit: Option<Duration>,
    ) -> bool {
        self.is_completed() || self.held().wait_or(other, may_wait, limit)
    }

    /// Waits until the IRP has completed. When the provider has answered with an error, and does not complete the IRP within a
    /// time that is long for a mere oversight, it has broken its contract: `false`.
    #[inline]
    pub(crate) fn wait_or_give_up(&self, may_wait: MayWait) -> bool {
        self.wait(may_wait, self.returned().is_error().then_some(GRACE))
    }

    /// Whether the IRP has completed, or will not; if neither, `context`'s waker is woken when there is something new. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Polled {
        if self.is_completed() {
            return Polled::Completed;
        }
        self.held().poll(context.waker())
    }

    /// Whether the provider has answered with an error and still keeps the IRP, a long time after this was first asked. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn is_given_up(&mut self) -> bool {
        self.held().is_given_up()
    }

    /// Takes the block back, with the payload in it, if the IRP has completed; else the flight.
    #[inline]
    pub(crate) fn end(self) -> Result<Idle<P>, Self> {
        if self.is_completed() {
            // SAFETY: the provider is done with the IRP, and the routine with the block, of which this was the one holder.
            Ok(unsafe { Idle::from_block(self.block) })
        } else {
            Err(self)
        }
    }

    /// The place of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        self.block().payload()
    }

    /// Leaves the block to the completion routine, which [discards](Idle::set_discard) it; does so itself when the IRP has completed
    /// already. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn leave(self) {
        let block = self.block.cast();
        let (back, waker) = self.hand_over();
        if back.is_some() {
            // SAFETY: it has completed, and the flight, which was the block's one holder, is gone: it is discarded once.
            unsafe { discard(block) };
        }
        // Last, because it is somebody else's code, which may unwind where that is possible.
        drop(waker);
    }

    /// As [`leave`](Self::leave), but for a flight that has completed already, which is given back.
    pub(crate) fn leave_unless_completed(self) -> Option<Self> {
        // Nobody has polled it: there is no waker.
        self.hand_over().0
    }

    /// Leaves the block to the routine, unless the IRP has completed: then the flight is given back. With the waker that was announced.
    #[inline]
    fn hand_over(self) -> (Option<Self>, Option<Waker>) {
        if self.is_completed() {
            return (Some(self), None);
        }
        // SAFETY: the block is that of this flight, which is used no more when it was left.
        let (left, waker) = unsafe { leave_to_routine(self.block.cast()) };
        ((!left).then_some(self), waker)
    }

    /// As [`leave`](Self::leave), after asking the provider to cancel the request: its end wakes nobody.
    pub(crate) fn abort(self) {
        // Where it has completed there is nothing to cancel.
        let waker = if self.is_completed() {
            None
        } else {
            let waker = self.held().take_waker();
            self.cancel();
            waker
        };
        self.leave();
        // Last, because it is somebody else's code, which may unwind where that is possible.
        drop(waker);
    }

    /// As [`leave`](Self::leave), of a flight without an observer: it gets one, which is told when the block has gone; with a way to
    /// discard it that does so. IRQL: `<= DISPATCH_LEVEL`.
    #[cold]
    pub(crate) fn leave_observed(self, observer: Observer) {
        // SAFETY: the block is that of this flight. The routine of an operation without an observer looks at neither place
        // before the block is left to it.
        unsafe {
            let header = self.header();
            header
                .observer
                .with_mut(|place| place.write(Some(observer)));
            header
                .discard
                .with_mut(|place| place.write(discard_observed));
        }
        self.leave();
    }

    /// The block, for [`from_raw`](Self::from_raw).
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<c_void> {
        self.block.cast()
    }

    /// The flight of a block, in place of the one that it was taken from.
    ///
    /// # Safety
    ///
    /// `block` came from [`as_raw`](Self::as_raw) of a flight of the same type that is not used again, or is only looked at as long
    /// as the result exists.
    #[inline]
    pub(crate) const unsafe fn from_raw(block: NonNull<c_void>) -> Self {
        Self::of(block.cast())
    }
}

/// Gives a block back that has got an observer since its request was made, and tells that.
///
/// # Safety
///
/// As for [`Discard`](super::block::Discard), of a block without payload that came from the pool by itself.
unsafe fn discard_observed(block: NonNull<Header>) {
    // SAFETY: the caller gives the block away, which has completed.
    let mut operation = unsafe { Idle::<()>::from_block(block.cast()) };
    let (observer, status) = (operation.take_observer(), operation.outcome().status);
    drop(operation);
    if let Some(observer) = observer {
        observer.tell(status);
    }
}

// What follows is out of line and does not know the payload, so that it is there once.

/// The header of a flight, for its holder.
///
/// # Invariants
///
/// Whoever has this holds the flight, on one thread.
#[derive(Clone, Copy)]
struct Held<'h>(&'h Header);

/// The place of a waker that is not announced.
///
/// # Invariants
///
/// Whoever has this holds the flight, and no waker is announced, nor about to be woken: so the place is the holder's.
struct WakerPlace<'h>(&'h Header);

/// What became of taking a waker back that was announced.
enum Retracted<'h> {
    InFlight(WakerPlace<'h>),
    Completed(WakerPlace<'h>),
    /// The routine is taking it out at this moment.
    Waking,
}

impl WakerPlace<'_> {
    fn waker(&mut self) -> &mut Option<Waker> {
        // SAFETY: by the invariant the place is the holder's, who has this exclusively.
        self.0.waker.with_mut(|waker| unsafe { &mut *waker })
    }

    /// Announces the waker that is in its place; the place, when the IRP has completed.
    fn announce(self) -> Option<Self> {
        // INVARIANT: where nothing was announced it is the holder's still.
        (!self.0.state.wake()).then_some(self)
    }
}

impl<'h> Held<'h> {
    fn retract(self) -> Retracted<'h> {
        // INVARIANT: the holder has taken back what was announced.
        match self.0.state.retract() {
            Retract::InFlight => Retracted::InFlight(WakerPlace(self.0)),
            Retract::Completed => Retracted::Completed(WakerPlace(self.0)),
            Retract::Waking => Retracted::Waking,
        }
    }

    /// As [`Flight::wait`], when it had not completed.
    #[inline(never)]
    fn wait(self, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.wait_by(may_wait, |event| event.wait(may_wait, limit))
    }

    /// As [`wait`](Self::wait), or until `other` is set: by itself, so that who has no other event does without.
    #[inline(never)]
    fn wait_or(self, other: &Event, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.wait_by(may_wait, |event| event.wait_or(other, may_wait, limit))
    }

    /// As [`wait`](Self::wait); `wait` says whether the event was set.
    #[inline]
    fn wait_by(self, may_wait: MayWait, wait: impl FnOnce(&Event) -> bool) -> bool {
        let Some(mut place) = self.wait_for_completion(may_wait, wait) else {
            return false;
        };
        // Nobody wakes it any more.
        drop(place.waker().take());
        true
    }

    /// As [`wait_by`](Self::wait_by), leaving the waker where it is.
    fn wait_for_completion(
        self,
        may_wait: MayWait,
        wait: impl FnOnce(&Event) -> bool,
    ) -> Option<WakerPlace<'h>> {
        let header = self.0;
        let mut place = match self.retract() {
            Retracted::InFlight(place) => place,
            Retracted::Completed(place) => return Some(place),
            Retracted::Waking => {
                // The routine is done with a waker in a few instructions. This does not spin: the routine may run on a thread that this one
                // keeps from running.
                while !header.state.is_completed() {
                    pause(may_wait, Duration::from_micros(50));
                }
                // INVARIANT: the routine has taken the waker, and is done with the block.
                return Some(WakerPlace(header));
            }
        };
        // A waker that is there stays in its place, which the routine of a flight that is waited for leaves alone.
        if !header.state.wait() {
            return Some(place);
        }
        if !wait(&header.event) {
            if header.state.give_up() {
                // Who polled it before is to be woken all the same.
                if place.waker().is_none() {
                    return None;
                }
                return place.announce();
            }
            // It completed at the last moment: the block is the routine's until it has set the event.
            header.event.wait(may_wait, None);
        }
        header.event.clear();
        Some(place)
    }

    /// As [`Flight::poll`], when it had not completed.
    #[inline(never)]
    fn poll(self, waker: &Waker) -> Polled {
        let header = self.0;
        let identity = (waker.data(), core::ptr::from_ref(waker.vtable()));
        let mut place = match self.retract() {
            Retracted::Completed(_) => return Polled::Completed,
            Retracted::Waking => {
                // The routine is about to wake the announced waker. Asking it to be woken again for the same one could keep a DPC
                // from ever letting the routine go on.
                if header.announced.get() != Some(identity) {
                    waker.wake_by_ref();
                }
                return Polled::Pending;
            }
            Retracted::InFlight(place) => place,
        };
        let slot = place.waker().as_ref();
        let is_same = slot.is_some_and(|slot| slot.will_wake(waker));
        let mut before = None;
        if !is_same {
            // Announces the waker from before again, when the other one's code unwinds.
            // INVARIANT: the place is the holder's.
            let undo = Announce(header);
            let new = waker.clone();
            core::mem::forget(undo);
            before = place.waker().replace(new);
        }
        header.announced.set(Some(identity));
        let mut unused = None;
        let polled = if let Some(mut place) = place.announce() {
            unused = place.waker().take();
            Polled::Completed
        } else if self.is_given_up() {
            Polled::GivenUp
        } else {
            Polled::Pending
        };
        if polled == Polled::Pending && header.answer.get().returned().is_error() {
            // Nobody tells when the time is up.
            alarm::wake_after(GRACE, waker);
        }
        drop((before, unused));
        polled
    }

    /// As [`Flight::is_given_up`].
    fn is_given_up(self) -> bool {
        let header = self.0;
        let answer = header.answer.get();
        if !answer.returned().is_error() || header.state.is_completed() {
            return false;
        }
        // What it counts in 49 days is enough to tell two seconds. Odd, so never 0.
        #[allow(clippy::cast_possible_truncation)]
        let now = (now() / 10_000) as u32 | 1;
        if answer.asked() == 0 {
            header.answer.set(answer.first_asked(now));
            return false;
        }
        u128::from(now.wrapping_sub(answer.asked())) > GRACE.as_millis()
    }

    /// Takes the waker back, if one was announced or left in its place and is not about to be woken.
    fn take_waker(self) -> Option<Waker> {
        match self.retract() {
            Retracted::Waking => None,
            Retracted::InFlight(mut place) | Retracted::Completed(mut place) => {
                place.waker().take()
            }
        }
    }
}

/// Announces the waker that is in its place, when dropped.
///
/// # Invariants
///
/// The place of the waker is the holder's, who has this.
struct Announce<'h>(&'h Header);

impl Drop for Announce<'_> {
    fn drop(&mut self) {
        // INVARIANT: the place is the holder's; it still is when the IRP has completed.
        let mut place = WakerPlace(self.0);
        if place.waker().is_some()
            && let Some(mut place) = place.announce()
        {
            drop(place.waker().take());
        }
    }
}

/// Leaves a flight that had not completed to the routine: whether that was in time, and the waker that was announced.
///
/// # Safety
///
/// `block` begins the block of a flight, which the caller holds, and uses no more when it was left.
#[inline(never)]
unsafe fn leave_to_routine(block: NonNull<Header>) -> (bool, Option<Waker>) {
    // Not borrowed for the whole call: the block may be gone before that returns.
    // SAFETY: the caller holds the flight, up to the detaching.
    unsafe {
        // INVARIANT: the caller is its holder.
        let waker = Held(block.as_ref()).take_waker();
        ((*block.as_ptr()).state.detach(), waker)
    }
}
