//! [`Flight`]: an operation whose IRP is with the provider, or has come back.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::task::{Context, Waker};
use core::time::Duration;

use wsk_sys::{IoCancelIrp, NTSTATUS, STATUS_SUCCESS};

use crate::irp::alarm;
use crate::irp::block::{Block, Header, Idle};
use crate::irp::observer::Observer;
use crate::irp::outcome::Outcome;
use crate::irp::routine::discard;
use crate::irp::state::Retract;
use crate::irql::MayWait;
use crate::memory::event::{Event, pause};
use crate::time::{GRACE, now};

/// What a call returned, which the completion may contradict, and when it was first asked in vain whether that is the end: in one
/// word, because most answers are never looked at.
#[derive(Clone, Copy)]
pub(crate) struct Answer(u64);

impl Answer {
    /// No call was made, or its answer does not matter.
    pub(crate) const NONE: Self = Self::new(STATUS_SUCCESS);

    #[inline]
    pub(super) const fn new(returned: NTSTATUS) -> Self {
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
    answer: Answer,
    payload: PhantomData<P>,
}

// SAFETY: holding a flight is holding the payload, and nothing of a block is bound to a thread.
unsafe impl<P: Send> Send for Flight<P> {}

impl<P> Flight<P> {
    #[inline]
    pub(super) const fn of(block: NonNull<Block<P>>, answer: Answer) -> Self {
        Self {
            block,
            answer,
            payload: PhantomData,
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: by the invariant the block is there as long as `self`, and begins with its header; what changes in it is in cells.
        unsafe { self.block.cast::<Header>().as_ref() }
    }

    /// Whether the IRP has completed: then the flight can [end](Self::end).
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        self.header().state.is_completed()
    }

    /// What the call returned.
    #[inline]
    pub(crate) const fn returned(&self) -> NTSTATUS {
        self.answer.returned()
    }

    /// What the call returned, and what was asked since.
    #[inline]
    pub(crate) const fn answer(&self) -> Answer {
        self.answer
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
        // SAFETY: the header is that of this flight, which is borrowed, and so held, meanwhile.
        self.is_completed() || unsafe { wait_for_routine(self.block.cast(), may_wait, limit) }
    }

    /// As [`wait`](Self::wait), or until `other` is set.
    pub(crate) fn wait_or(
        &self,
        other: &Event,
        may_wait: MayWait,
        limit: Option<Duration>,
    ) -> bool {
        // SAFETY: the header is that of this flight, which is borrowed, and so held, meanwhile.
        self.is_completed()
            || unsafe { wait_for_routine_or(self.block.cast(), other, may_wait, limit) }
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
        // SAFETY: the header is that of this flight, which is borrowed exclusively.
        unsafe { poll_routine(self.block.cast(), &mut self.answer, context.waker()) }
    }

    /// Whether the provider has answered with an error and still keeps the IRP, a long time after this was first asked. IRQL:
    /// `<= DISPATCH_LEVEL`.
    pub(crate) fn is_given_up(&mut self) -> bool {
        let mut answer = self.answer;
        let given_up = is_given_up(self.header(), &mut answer);
        self.answer = answer;
        given_up
    }

    /// Takes the block back, with the payload in it. The IRP must have completed.
    ///
    /// # Safety
    ///
    /// [`is_completed`](Self::is_completed), [`wait`](Self::wait) or [`poll`](Self::poll) said so.
    #[inline]
    pub(crate) unsafe fn end(self) -> Idle<P> {
        // SAFETY: the IRP has completed, as the caller says, so the provider is done with it and the routine with the block.
        unsafe { Idle::from_block(self.block) }
    }

    /// What the completed IRP says.
    ///
    /// # Safety
    ///
    /// It has completed: as for [`end`](Self::end).
    #[inline]
    pub(crate) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: it has completed, as the caller says, so the provider and the routine are done with the IRP.
        unsafe { self.header().outcome() }
    }

    /// Whether the provider was asked to cancel the request, which has completed all the same.
    ///
    /// # Safety
    ///
    /// It has completed: as for [`end`](Self::end).
    #[inline]
    pub(crate) unsafe fn is_cancelled(&self) -> bool {
        // SAFETY: it has completed, as the caller says, and nobody cancels it while its one holder looks. What was asked before is
        // there until the IRP is reused.
        unsafe { (*self.header().irp()).Cancel != 0 }
    }

    /// The place of the payload.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<P> {
        // SAFETY: what is looked at is the block's layout only; the idle that is made of it is not dropped.
        ManuallyDrop::new(unsafe { Idle::from_block(self.block) }).payload()
    }

    /// Leaves the block to the completion routine, which [discards](Idle::set_discard) it; does so itself when the IRP has completed
    /// already. IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub(crate) fn leave(self) {
        // SAFETY: the flight is gone after this. If it has completed nobody else has the block, and it is discarded once.
        unsafe {
            if self.is_completed() {
                discard(self.block.cast());
                return;
            }
            let (left, waker) = leave_to_routine(self.block.cast());
            if !left {
                discard(self.block.cast());
            }
            // Last, because it is somebody else's code, which may unwind where that is possible.
            drop(waker);
        }
    }

    /// As [`leave`](Self::leave), but for a flight that has completed already, which is given back.
    pub(crate) fn leave_unless_completed(self) -> Option<Self> {
        // Nobody has polled it: there is no waker.
        // SAFETY: the header is that of this flight, which is used no more when it was left.
        let left = !self.is_completed() && unsafe { leave_to_routine(self.block.cast()) }.0;
        (!left).then_some(self)
    }

    /// As [`leave`](Self::leave), after asking the provider to cancel the request: its end wakes nobody.
    pub(crate) fn abort(self) {
        // Where it has completed there is nothing to cancel.
        let waker = if self.is_completed() {
            None
        } else {
            // SAFETY: the header is that of this flight, which is held.
            let waker = unsafe { take_waker(self.header()) };
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

    /// The flight of a block, in place of the one that it was taken from, whose call was answered so.
    ///
    /// # Safety
    ///
    /// `block` came from [`as_raw`](Self::as_raw) of a flight of the same type that is not used again, or is only looked at as long
    /// as the result exists.
    #[inline]
    pub(crate) const unsafe fn from_raw(block: NonNull<c_void>, answer: Answer) -> Self {
        Self::of(block.cast(), answer)
    }
}

/// Gives a block back that has got an observer since its request was made, and tells that.
///
/// # Safety
///
/// As for [`Discard`](super::block::Discard), of a block without payload that came from the pool by itself.
unsafe fn discard_observed(block: NonNull<Header>) {
    // SAFETY: the caller gives the block away; the IRP has its status. The observer is taken out, and told once.
    unsafe {
        let header = block.as_ref();
        let (observer, status) = (
            header.observer.with_mut(|observer| (*observer).take()),
            header.status(),
        );
        drop(Idle::<()>::from_block(block.cast()));
        if let Some(observer) = observer {
            observer.tell(status);
        }
    }
}

// What follows is out of line and does not know the payload, so that it is there once.

/// As [`Flight::wait`], when it had not completed.
///
/// # Safety
///
/// `block` begins the block of a flight, which the caller holds meanwhile.
#[inline(never)]
unsafe fn wait_for_routine(
    block: NonNull<Header>,
    may_wait: MayWait,
    limit: Option<Duration>,
) -> bool {
    // SAFETY: the caller holds the block.
    unsafe { wait_by(block, may_wait, |event| event.wait(may_wait, limit)) }
}

/// As [`wait_for_routine`], or until `other` is set: by itself, so that who has no other event does without.
///
/// # Safety
///
/// As for that.
#[inline(never)]
unsafe fn wait_for_routine_or(
    block: NonNull<Header>,
    other: &Event,
    may_wait: MayWait,
    limit: Option<Duration>,
) -> bool {
    // SAFETY: the caller holds the block.
    unsafe {
        wait_by(block, may_wait, |event| {
            event.wait_or(other, may_wait, limit)
        })
    }
}

/// As [`wait_for_routine`]; `wait` says whether the event was set.
///
/// # Safety
///
/// As for that.
#[inline]
unsafe fn wait_by(
    block: NonNull<Header>,
    may_wait: MayWait,
    wait: impl FnOnce(&Event) -> bool,
) -> bool {
    // SAFETY: the caller holds the block, whose slot is the holder's once it has completed: nobody wakes it any more.
    unsafe {
        let header = block.as_ref();
        let completed = wait_for_completion(header, may_wait, wait);
        if completed {
            drop(out_of_its_place(header));
        }
        completed
    }
}

/// As [`wait_for_routine`], leaving the waker where it is; `wait` says whether the event was set.
///
/// # Safety
///
/// As for that.
unsafe fn wait_for_completion(
    header: &Header,
    may_wait: MayWait,
    wait: impl FnOnce(&Event) -> bool,
) -> bool {
    match header.state.retract() {
        Retract::InFlight => {}
        Retract::Completed => return true,
        Retract::Waking => {
            // The routine is done with a waker in a few instructions. This does not spin: the routine may run on a thread that this one
            // keeps from running.
            while !header.state.is_completed() {
                pause(may_wait, Duration::from_micros(50));
            }
            return true;
        }
    }
    // A waker that is there stays in its place, which the routine of a flight that is waited for leaves alone.
    if !header.state.wait() {
        return true;
    }
    if !wait(&header.event) {
        if header.state.give_up() {
            // Who polled it before is to be woken all the same.
            // SAFETY: no waker is announced, so the slot is the holder's.
            let polled = header.waker.with(|waker| unsafe { (*waker).is_some() });
            return polled && !header.state.wake();
        }
        // It completed at the last moment: the block is the routine's until it has set the event.
        header.event.wait(may_wait, None);
    }
    header.event.clear();
    true
}

/// As [`Flight::poll`], when it had not completed.
///
/// # Safety
///
/// `block` begins the block of a flight, which the caller holds alone meanwhile.
#[inline(never)]
unsafe fn poll_routine(block: NonNull<Header>, answer: &mut Answer, waker: &Waker) -> Polled {
    // SAFETY: the caller holds the block.
    let header = unsafe { block.as_ref() };
    let identity = (waker.data(), core::ptr::from_ref(waker.vtable()));
    match header.state.retract() {
        Retract::Completed => return Polled::Completed,
        Retract::Waking => {
            // The routine is about to wake the announced waker. Asking it to be woken again for the same one could keep a DPC
            // from ever letting the routine go on.
            // SAFETY: the place is the holder's.
            let announced = header.announced.with(|announced| unsafe { *announced });
            if announced != Some(identity) {
                waker.wake_by_ref();
            }
            return Polled::Pending;
        }
        Retract::InFlight => {}
    }
    // SAFETY: no waker is announced, so the slot is the holder's.
    let is_same = header.waker.with(|slot| unsafe {
        let slot = (*slot).as_ref();
        slot.is_some_and(|slot| slot.will_wake(waker))
    });
    let mut before = None;
    if !is_same {
        // Announces the waker from before again, when the other one's code unwinds.
        let undo = Announce(header);
        let new = waker.clone();
        core::mem::forget(undo);
        // SAFETY: as above.
        before = header
            .waker
            .with_mut(|slot| unsafe { (*slot).replace(new) });
    }
    // SAFETY: the place is the holder's.
    header
        .announced
        .with_mut(|announced| unsafe { *announced = Some(identity) });
    let mut unused = None;
    let polled = if !header.state.wake() {
        // SAFETY: it has completed, so the slot is the holder's.
        unused = unsafe { out_of_its_place(header) };
        Polled::Completed
    } else if is_given_up(header, answer) {
        Polled::GivenUp
    } else {
        Polled::Pending
    };
    if polled == Polled::Pending && answer.returned().is_error() {
        // Nobody tells when the time is up.
        alarm::wake_after(GRACE, waker);
    }
    drop((before, unused));
    polled
}

/// Announces the waker that is in its place, when dropped.
struct Announce<'h>(&'h Header);

impl Drop for Announce<'_> {
    fn drop(&mut self) {
        // SAFETY: who makes this holds the flight, and no waker is announced, so the slot is the holder's; it still is when it has
        // completed.
        unsafe {
            let is_there = self.0.waker.with(|waker| (*waker).is_some());
            if is_there && !self.0.state.wake() {
                drop(out_of_its_place(self.0));
            }
        }
    }
}

/// The waker that is in its place, if one is.
///
/// # Safety
///
/// The caller holds the flight that the header is of, and no waker is announced.
unsafe fn out_of_its_place(header: &Header) -> Option<Waker> {
    // SAFETY: no waker is announced, so the slot is the holder's.
    header.waker.with_mut(|waker| unsafe { (*waker).take() })
}

/// As [`Flight::is_given_up`].
fn is_given_up(header: &Header, answer: &mut Answer) -> bool {
    if !answer.returned().is_error() || header.state.is_completed() {
        return false;
    }
    // What it counts in 49 days is enough to tell two seconds. Odd, so never 0.
    #[allow(clippy::cast_possible_truncation)]
    let now = (now() / 10_000) as u32 | 1;
    if answer.asked() == 0 {
        answer.set_asked(now);
    }
    u128::from(now.wrapping_sub(answer.asked())) > GRACE.as_millis()
}

/// Takes the waker back, if one was announced or left in its place and is not about to be woken.
///
/// # Safety
///
/// The caller holds the flight that the header is of.
unsafe fn take_waker(header: &Header) -> Option<Waker> {
    if header.state.retract() == Retract::Waking {
        return None;
    }
    // SAFETY: no waker is announced any more.
    unsafe { out_of_its_place(header) }
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
        let waker = take_waker(block.as_ref());
        ((*block.as_ptr()).state.detach(), waker)
    }
}
