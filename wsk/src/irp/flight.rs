//! How the holder of a [`Flight`] waits for its end, polls it, or leaves it to the completion routine.

#![forbid(unsafe_code)]

use core::task::{Context, Waker};
use core::time::Duration;

use wsk_sys::NTSTATUS;

use crate::irp::alarm;
use crate::irp::answer::Answer;
use crate::irp::block::{
    CompletedFlight, Flight, Header, HolderView, Idle, Observer, Retracted, WakerPlace,
};
use crate::irp::routine::wake;
use crate::irql::MayWait;
use crate::system::{Event, pause};
use crate::time::{GRACE, now};

/// The result of polling a flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing yet: the waker will be woken.
    Pending,
    /// The IRP has completed.
    Completed,
    /// The provider has answered with an error, and keeps the IRP, against its contract.
    GivenUp,
}

/// A flight whose call has just returned, with the status. That is not noted in the block yet: if the flight has completed nobody asks for
/// it.
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

    /// The flight, with the status noted.
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

impl<P> Flight<P> {
    /// Whether the IRP has completed. Then the flight can [end](Self::end).
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        self.header().state.is_completed()
    }

    /// The status that the call returned.
    #[inline]
    pub(crate) fn returned(&self) -> NTSTATUS {
        self.header().answer.get().returned()
    }

    /// Waits until the IRP has completed, at most for `limit`. Says whether it has. Then a waker that was announced is dropped, which may
    /// unwind: whoever holds a flight that was polled gives it up when dropped.
    #[inline]
    pub(crate) fn wait(&self, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.is_completed() || self.holder_view().wait(may_wait, limit)
    }

    /// As [`wait`](Self::wait), or until `other` is set.
    pub(crate) fn wait_or(
        &self,
        other: &Event,
        may_wait: MayWait,
        limit: Option<Duration>,
    ) -> bool {
        self.is_completed() || self.holder_view().wait_or(other, may_wait, limit)
    }

    /// Waits until the IRP has completed. Gives `false` when the provider has broken its contract: it has answered with an error, and has
    /// not completed the IRP within [`GRACE`].
    #[inline]
    pub(crate) fn wait_or_give_up(&self, may_wait: MayWait) -> bool {
        self.wait(may_wait, self.returned().is_error().then_some(GRACE))
    }

    /// Takes out the waker that was announced, if there is one.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.holder_view().take_waker()
    }

    /// Looks whether the IRP has completed, or never will. If neither, the waker of `context` is woken when that changes. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Polled {
        if self.is_completed() {
            return Polled::Completed;
        }
        self.holder_view().poll(context.waker())
    }

    /// Whether the provider has answered with an error and still keeps the IRP, [`GRACE`] after this was first asked. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn is_given_up(&mut self) -> bool {
        is_given_up(self.header())
    }

    /// Takes the block back, with the payload in it, if the IRP has completed. Else gives the flight back.
    #[inline]
    pub(crate) fn end(self) -> Result<Idle<P>, Self> {
        self.completed().map(CompletedFlight::idle)
    }

    /// Gives up the holder's part: the completion routine [discards](Idle::set_discard) the block. If the IRP has completed already, this
    /// discards it. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn detach(self) {
        let (back, waker) = self.take_or_detach();
        if let Some(completed) = back {
            completed.discard();
        }
        // Last, because it is somebody else's code, which may unwind where that is possible.
        drop(waker);
    }

    /// As [`detach`](Self::detach), but gives the operation back if it has completed already.
    pub(crate) fn detach_unless_completed(self) -> Option<Idle<P>> {
        // Nobody has polled it: there is no waker.
        self.take_or_detach().0.map(CompletedFlight::idle)
    }

    /// Takes the operation back if the IRP has completed, or else detaches it. Also returns the waker that was announced.
    #[inline]
    fn take_or_detach(self) -> (Option<CompletedFlight<P>>, Option<Waker>) {
        match self.completed() {
            Ok(completed) => (Some(completed), None),
            Err(flight) => flight.detach_from_holder(),
        }
    }

    /// As [`detach`](Self::detach), after asking the provider to cancel the request. The completion wakes nobody.
    pub(crate) fn cancel_and_detach(self) {
        // Where it has completed there is nothing to cancel.
        let waker = if self.is_completed() {
            None
        } else {
            let waker = self.holder_view().take_waker();
            self.cancel();
            waker
        };
        self.detach();
        // Last, because it is somebody else's code, which may unwind where that is possible.
        drop(waker);
    }
}

impl Flight<()> {
    /// As [`detach`](Self::detach), for a flight that was made without an observer. Sets one, who is notified when the block is gone. IRQL:
    /// `<= DISPATCH_LEVEL`.
    #[cold]
    pub(crate) fn detach_observed(self, observer: Observer) {
        self.set_observer(observer);
        self.detach();
    }
}

// The rest is out of line and does not know the payload, so that a driver has it once.

impl<'h> HolderView<'h> {
    /// As [`Flight::wait`], when it had not completed.
    #[inline(never)]
    fn wait(self, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.wait_by(may_wait, |event| event.wait(may_wait, limit))
    }

    /// As [`wait`](Self::wait), or until `other` is set. A function by itself, so that a driver without such waits does not have it.
    #[inline(never)]
    fn wait_or(self, other: &Event, may_wait: MayWait, limit: Option<Duration>) -> bool {
        self.wait_by(may_wait, |event| event.wait_or(other, may_wait, limit))
    }

    /// As [`wait`](Self::wait), where `wait` waits for the event, and says whether it was set.
    #[inline]
    fn wait_by(self, may_wait: MayWait, wait: impl FnOnce(&Event) -> bool) -> bool {
        let Some(mut place) = self.wait_for_completion(may_wait, wait) else {
            return false;
        };
        // Nobody wakes it any more.
        drop(place.take());
        true
    }

    /// As [`wait_by`](Self::wait_by), leaving the waker where it is.
    fn wait_for_completion(
        self,
        may_wait: MayWait,
        wait: impl FnOnce(&Event) -> bool,
    ) -> Option<WakerPlace<'h>> {
        let header = self.header();
        let mut this = self;
        let mut place = loop {
            match this.retract() {
                Retracted::InFlight(place) => break place,
                Retracted::Completed(place) => return Some(place),
                // The routine is done with the waker in a few instructions. This does not spin, because the routine may run on a thread that
                // this one keeps from running. After that the flight has completed.
                Retracted::Waking(held) => this = held,
            }
            pause(may_wait, Duration::from_micros(50));
        };
        // A waker that is there stays in its place, which the routine of a flight that is waited for leaves alone.
        if !header.state.wait() {
            return Some(place);
        }
        if !wait(&header.event) {
            if header.state.stop_waiting() {
                // Who polled it before is to be woken all the same.
                if !place.is_some() {
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
        let header = self.header();
        let identity = |waker: &Waker| (waker.data(), core::ptr::from_ref(waker.vtable()));
        let mut place = match self.retract() {
            Retracted::Completed(_) => return Polled::Completed,
            Retracted::Waking(_) => {
                // The routine is about to wake the announced waker. Asking it to be woken again for the same one could keep a DPC
                // from ever letting the routine go on.
                if header.announced.get() != Some(identity(waker)) {
                    waker.wake_by_ref();
                }
                return Polled::Pending;
            }
            Retracted::InFlight(place) => place,
        };
        let is_same = place.will_wake(waker);
        let mut announcing = Announcing(Some(place));
        let mut before = None;
        if !is_same {
            let new = waker.clone();
            // That of the clone, which is there until it is woken: no other task can have it meanwhile.
            header.announced.set(Some(identity(&new)));
            before = announcing.replace(new);
        }
        let mut unused = None;
        let polled = if let Some(mut place) = announcing.announce() {
            unused = place.take();
            Polled::Completed
        } else {
            match grace(header) {
                Grace::Unlimited => Polled::Pending,
                Grace::Left(left) => {
                    // Nobody notifies when the time is up.
                    alarm::wake_after(left, waker);
                    Polled::Pending
                }
                Grace::Over => Polled::GivenUp,
            }
        };
        drop((before, unused));
        polled
    }
}

/// As [`Flight::is_given_up`].
fn is_given_up(header: &Header) -> bool {
    matches!(grace(header), Grace::Over)
}

/// The time that a provider still has to complete an IRP.
enum Grace {
    /// It has answered with no error, or has completed the IRP.
    Unlimited,
    Left(Duration),
    Over,
}

/// The time that the provider of a flight still has.
fn grace(header: &Header) -> Grace {
    let answer = header.answer.get();
    if !answer.returned().is_error() || header.state.is_completed() {
        return Grace::Unlimited;
    }
    // What it counts in 49 days is enough to tell two seconds. Odd, so never 0.
    #[allow(clippy::cast_possible_truncation)]
    let now = (now() / 10_000) as u32 | 1;
    if answer.asked() == 0 {
        header.answer.set(answer.first_asked(now));
        return Grace::Left(GRACE);
    }
    let past = Duration::from_millis(u64::from(now.wrapping_sub(answer.asked())));
    GRACE.checked_sub(past).map_or(Grace::Over, Grace::Left)
}

/// The place of a waker that is about to be announced. When this is dropped before, because somebody else's code unwinds, the waker that
/// is there is announced: it was before.
struct Announcing<'h>(Option<WakerPlace<'h>>);

impl<'h> Announcing<'h> {
    /// As [`WakerPlace::replace`].
    fn replace(&mut self, waker: Waker) -> Option<Waker> {
        self.0.as_mut()?.replace(waker, wake)
    }

    /// As [`WakerPlace::announce`].
    fn announce(&mut self) -> Option<WakerPlace<'h>> {
        self.0.take()?.announce()
    }
}

impl Drop for Announcing<'_> {
    fn drop(&mut self) {
        if let Some(mut place) = self.0.take()
            && place.is_some()
            && let Some(mut place) = place.announce()
        {
            drop(place.take());
        }
    }
}
