//! Each rule of the protocol is needed: where one is broken, some interleaving goes wrong, and loom finds it.

use std::sync::atomic::Ordering;

use wsk_model::{Rules, explore};

use crate::scenarios;

/// A mistake, the scenario that shows it, and a part of what loom or the model then says.
macro_rules! found {
    ($(#[doc = $what:literal] $test:ident: $scenario:ident, $says:literal, { $($rule:tt)* })*) => {
        $(
            #[doc = $what]
            #[test]
            #[should_panic(expected = $says)]
            fn $test() {
                struct Mistake;
                impl Rules for Mistake {
                    $($rule)*
                }
                explore(Some(3), scenarios::$scenario::<Mistake>);
            }
        )*
    };
}

found! {
    /// The owner looks without acquiring what the provider has written.
    looking_without_acquire: look_and_take, "Causality violation", {
        fn look(_: Ordering) -> Ordering {
            Ordering::Relaxed
        }
    }
    /// The routine publishes the completion without releasing what was written.
    publishing_without_release: look_and_take, "Causality violation", {
        fn step(_: Ordering, not_made: Ordering) -> (Ordering, Ordering) {
            (Ordering::Acquire, not_made)
        }
    }
    /// The routine takes an operation over without acquiring what its owner did to it.
    taking_over_without_acquire: poll_and_leave, "Causality violation", {
        fn step(made: Ordering, _: Ordering) -> (Ordering, Ordering) {
            (made, Ordering::Relaxed)
        }
    }
    /// The event is set though nobody waits, after the operation went back to its owner.
    event_for_nobody: look_and_take, "Causality violation", {
        const EVENT_FOR_WAITER_ONLY: bool = false;
    }
    /// Who gave up waiting too late frees the operation before the event is set.
    event_not_awaited: give_up_and_take_or_leave, "Causality violation", {
        const LATE_WAITER_SEES_EVENT: bool = false;
    }
    /// The event of one request ends the wait for the next.
    event_not_cleared: wait_give_up_and_reuse, "right: (1, Success)", {
        const EVENT_CLEARED: bool = false;
    }
    /// The routine takes the waker out of an operation that it has given back.
    waker_taken_late: poll_and_wait, "Causality violation", {
        const WAKER_TAKEN_FIRST: bool = false;
    }
    /// The routine frees an operation whose waker it then wants.
    waker_taken_after_discard: poll_and_leave, "Causality violation", {
        const WAKER_TAKEN_FIRST: bool = false;
    }
    /// A poll replaces a waker that the routine is taking.
    waker_not_retracted: two_wakers, "Causality violation", {
        const WAKER_RETRACTED: bool = false;
    }
    /// A poll announces a waker that is not there yet: nobody is woken.
    waker_announced_early: poll_and_sleep, "Causality violation", {
        const WAKER_BEFORE_ANNOUNCEMENT: bool = false;
    }
    /// The owner frees an operation whose waker is being taken.
    waking_not_left: poll_and_leave, "Causality violation", {
        const LEAVES_WAKING: bool = false;
    }
    /// The owner frees an operation that is in flight.
    in_flight_not_left: leave, "Causality violation", {
        const LEAVES_IN_FLIGHT: bool = false;
    }
    /// The owner cancels an operation that it has left.
    cancelled_after_leaving: cancel_and_leave, "Causality violation", {
        const CANCELS_FIRST: bool = false;
    }
    /// The owner cancels an IRP that is another's by then.
    cancelled_after_reuse: cancel_and_leave_pooled, "Causality violation", {
        const CANCELS_FIRST: bool = false;
    }
    /// The slot goes back while the routine still has its block.
    slot_given_back_early: leave_pooled, "flight.is_completed()", {
        const PAYLOAD_LAST: bool = false;
    }
    /// The routine looks for an observer in an operation that it has given back.
    observer_read_late: scope, "Causality violation", {
        const OBSERVER_READ_FIRST: bool = false;
    }
    /// The free list does not see that its first slot went and came back.
    changes_not_counted: pool_aba, "3 holders of two slots", {
        const CHANGES_COUNTED: bool = false;
    }
    /// A slot goes back without releasing what its holder has written.
    slot_without_release: pool_of_three_threads, "Causality violation", {
        fn list(_: Ordering, not_made: Ordering) -> (Ordering, Ordering) {
            (Ordering::Relaxed, not_made)
        }
    }
    /// Who waits looks before it counts itself, and not again.
    waiter_counted_late: pool_waiter_gives_up, "deadlock", {
        const WAITER_COUNTED_FIRST: bool = false;
    }
    /// Two slots come back, one waiter is told, and tells nobody.
    not_passed_on: pool_waiters_two_slots, "deadlock", {
        const PASSED_ON: bool = false;
    }
}
