//! The completion routines of IRPs. They run at up to `DISPATCH_LEVEL`, on any thread, never allocate, and
//! touch nothing of a block after they have published its completion, unless it is theirs.

#![forbid(unsafe_code)]

use crate::irp::block::{
    Completing, EndedBy, LeftToRoutine, Observed, Plain, Published, Routine, Unheld, Waking,
};
use crate::irp::state::Notify;

impl Routine for Plain {
    #[inline]
    fn run(block: Completing<Self>) {
        let published = block.publish();
        if published.notify() != Notify::Nobody {
            notify_holder(published);
        }
    }
}

impl Routine for Observed {
    #[inline]
    fn run(block: Completing<Self>) {
        let mut block = block;
        let observer = block.take_observer();
        let status = block.status();
        let published = block.publish();
        match published.notify() {
            // There was no observer to take: it was notified of the true completion.
            Notify::Spurious => return,
            Notify::Nobody => {}
            _ => notify_holder(published),
        }
        if let Some(observer) = observer {
            observer.notify(status);
        }
    }
}

impl<E: Unheld> Routine for EndedBy<E> {
    /// Notifies the observer when everything else is done, after the block, perhaps, is gone.
    #[inline]
    fn run(block: Completing<Self>) {
        let mut block = block;
        let observer = if E::OBSERVED {
            let observer = block.take_observer();
            observer.map(|observer| (observer, block.status()))
        } else {
            None
        };
        block.end();
        if let Some((observer, status)) = observer {
            observer.notify(status);
        }
    }
}

/// Notifies the holder of a completion that was published, or does the holder's part.
#[inline(never)]
fn notify_holder(published: Published) {
    match published.left_to_routine() {
        LeftToRoutine::Nothing => {}
        LeftToRoutine::Event(waiting) => waiting.set_event(),
        LeftToRoutine::Waker(waking) => waking.wake(),
        // The block has no holder: to discard it is the last that the routine does.
        LeftToRoutine::Block(completed) => completed.discard(),
    }
}

/// Takes the waker out and wakes the task. Who announces a waker passes this function with it.
pub(super) fn wake(waking: Waking) {
    let mut waking = waking;
    // What is woken is the driver's: it is kept from being unloaded until that is notified. Those that have an observer are kept by it.
    let held = waking.hold_driver();
    let waker = waking.take();
    if let Some(completed) = waking.done() {
        completed.discard();
    }
    if let Some(waker) = waker {
        waker.wake();
    }
    if let Some(held) = held {
        held.notify(wsk_sys::STATUS_SUCCESS);
    }
}
