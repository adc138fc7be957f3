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
    /// Who waits instead of polling leaves the waker in its place.
    waker_left_by_waiting: poll_and_wait, "a waker was left in its place", {
        const WAKER_DROPPED_BEFORE_WAITING: bool = false;
    }
    /// A prepared operation goes into its next flight with the waker of the one before.
    waker_left_for_the_next_flight: prepared_poll_and_wait, "left: 2", {
        const WAKER_DROPPED_BEFORE_WAITING: bool = false;
    }
    /// Who leaves an operation leaves its waker in its place.
    waker_left_by_leaving: prepared_poll_and_leave, "a waker was left in its place", {
        const WAKER_DROPPED_BEFORE_LEAVING: bool = false;
    }
    /// A poll that comes too late leaves its waker in its place.
    waker_left_by_polling: prepared_await, "left: 2", {
        const WAKER_DROPPED_WHEN_READY: bool = false;
    }
    /// A poll trusts in the wake of another task.
    another_waker_not_woken: prepared_await, "deadlock", {
        const ANOTHER_WAKER_WOKEN: bool = false;
    }
    /// The holder gives back a slot that is in flight.
    slot_in_flight_given_back: prepared_leave_and_wait_for, "Causality violation", {
        const LEAVES_IN_FLIGHT: bool = false;
    }
    /// The holder gives back a slot whose waker is being taken.
    slot_waking_given_back: prepared_poll_and_leave, "Causality violation", {
        const LEAVES_WAKING: bool = false;
    }
    /// The routine writes the state of a slot that it has given back.
    slot_touched_after_giving_back: prepared_leave_and_start, "completed once", {
        const SLOT_LAST: bool = false;
    }
    /// The holder gives back a slot that it has left to the routine, which gives it back too.
    slot_given_back_twice: prepared_leave_and_wait_for, "memory was used after it was freed", {
        const GIVEN_BACK_ONCE: bool = false;
    }
    /// The holder cancels an operation that it has left, and that is another's by then.
    prepared_cancelled_after_leaving: prepared_cancel_and_leave, "Causality violation", {
        const CANCELS_FIRST: bool = false;
    }
    /// The last slot is given back to a list that is freed.
    home_not_kept: prepared_close, "Causality violation", {
        const HOME_KEPT: bool = false;
    }
    /// A slot that was given up stays so for its next holder.
    not_taken_up_again: prepared_given_up, "nobody touches what was given up", {
        const TAKEN_UP_AGAIN: bool = false;
    }
    /// The event of one wait ends the next one of the same block.
    prepared_event_not_cleared: prepared_time_out, "completed once", {
        const EVENT_CLEARED: bool = false;
    }
    /// The routine sets the event of a block that is in its next flight.
    prepared_event_for_nobody: prepared_again, "flight.is_completed()", {
        const EVENT_FOR_WAITER_ONLY: bool = false;
    }
    /// The owner of a prepared operation looks without acquiring what the provider has written.
    prepared_looking_without_acquire: prepared_again, "Causality violation", {
        fn look(_: Ordering) -> Ordering {
            Ordering::Relaxed
        }
    }
}
