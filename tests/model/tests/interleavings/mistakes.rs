//! Each rule of the protocol is necessary: if one is broken, some interleaving goes wrong, and loom finds it.

use std::process::Command;

use wsk_model::explore_mistaken;

use crate::scenarios;

/// Tells a child process of this test which of its tests must make its mistake.
const MADE: &str = "WSK_MODEL_MISTAKE";

/// Explores a scenario with a mistake in a process of its own. When it goes wrong, the process ends and prints why.
fn find(test: &str, mistake: &'static str, scenario: fn(), says: &str) {
    if std::env::var(MADE).is_ok_and(|made| made == test) {
        explore_mistaken(Some(mistake), Some(3), scenario);
        return;
    }
    let program = std::env::current_exe().expect("a program runs");
    let output = Command::new(program)
        .args(["--exact", &format!("mistakes::{test}"), "--nocapture"])
        .env(MADE, test)
        .output()
        .expect("it runs again");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the mistake was not found");
    assert!(said.contains(says), "it went wrong in another way:\n{said}");
}

/// A mistake, the scenario that shows it, and a part of the message of loom or the scenario.
macro_rules! found {
    ($(#[doc = $what:literal] $test:ident: $mistake:ident, $scenario:ident, $says:literal;)*) => {
        $(
            #[doc = $what]
            #[test]
            fn $test() {
                find(stringify!($test), stringify!($mistake), scenarios::$scenario, $says);
            }
        )*
    };
}

found! {
    /// The owner looks without acquiring what the provider has written.
    looking_without_acquire: looking_without_acquire, look_and_take, "Causality violation";
    /// The routine publishes the completion without releasing what was written.
    publishing_without_release: publishing_without_release, look_and_take, "Causality violation";
    /// The completion routine takes over an operation without acquiring what the owner has written.
    taking_over_without_acquire: taking_over_without_acquire, poll_and_leave, "Causality violation";
    /// The event is set although nobody waits, after the operation returned to its owner.
    event_for_nobody: event_for_nobody, look_and_take, "Causality violation";
    /// A thread that gives up waiting too late frees the operation before the event is set.
    event_not_awaited: event_not_awaited, give_up_and_take_or_leave, "Causality violation";
    /// The event of one request ends the wait for the next, again and again.
    event_not_cleared: event_not_cleared, wait_give_up_and_reuse, "maximum number of branches";
    /// The completion routine takes the waker out of an operation that it has returned.
    waker_taken_late: waker_taken_late, poll_and_wait, "Causality violation";
    /// The completion routine frees an operation, and then uses its waker.
    waker_taken_after_discard: waker_taken_late, poll_and_leave, "Causality violation";
    /// A poll replaces a waker that the completion routine is taking.
    waker_not_retracted: waker_not_retracted, two_wakers, "maximum number of branches";
    /// A poll announces a waker that is not stored yet, so nobody is woken.
    waker_announced_early: waker_announced_early, poll_and_sleep, "Causality violation";
    /// A thread that waits for a while leaves a task asleep that has polled before.
    not_announced_again: not_announced_again, poll_wait_a_while_and_sleep, "deadlock";
    /// The owner frees an operation whose waker is being taken.
    waking_not_left: waking_not_left, poll_and_leave, "Causality violation";
    /// The owner frees an operation that is in flight.
    in_flight_not_left: in_flight_not_left, leave, "Causality violation";
    /// The owner cancels an operation that it has left.
    cancelled_after_leaving: cancelled_after_leaving, cancel_and_leave, "Causality violation";
    /// The owner cancels an IRP that already belongs to another request.
    cancelled_after_reuse: cancelled_after_leaving, cancel_and_leave_pooled, "Causality violation";
    /// The operation returns to its pool while the completion routine still has what it carries.
    operation_given_back_early: operation_given_back_early, leave_pooled, "Causality violation";
    /// A closure is called after the operation went to another owner.
    told_after_giving_back: told_after_giving_back, told, "left: 0";
    /// The completion routine looks for an observer in an operation that it has returned.
    observer_read_late: observer_read_late, scope, "Causality violation";
    /// A scope does not wait for an operation.
    not_counted: not_counted, scope, "the scope has ended";
    /// An event's handle is counted before it has a reference to the socket's memory.
    handle_counted_first: handle_counted_first, close_and_call_back, "Causality violation";
    /// Shared memory is freed although other threads have not released their uses of it.
    reference_without_release: reference_without_release, told_and_unloaded, "Causality violation";
    /// The free list does not notice that its first slot was taken and returned.
    changes_not_counted: changes_not_counted, pool_aba, "3 holders of two slots";
    /// A slot returns without releasing what its holder has written.
    slot_without_release: slot_without_release, pool_of_three_threads, "Causality violation";
    /// A waiting thread checks before it counts itself, and does not check again.
    waiter_counted_late: waiter_counted_late, pool_waiters_one_slot, "deadlock";
    /// Two slots return, and the only waiting thread that is woken does not wake the next one.
    not_passed_on: not_passed_on, pool_waiters_two_slots, "deadlock";
    /// A thread that waits until a pool is idle is not woken.
    idle_not_told: idle_not_told, pool_idle, "deadlock";
    /// The last handle of a pool frees it although an operation is in flight.
    missing_not_counted: missing_not_counted, pool_closed, "Causality violation";
    /// A thread that waits instead of polling leaves the waker in its place.
    waker_left_by_waiting: waker_left_by_waiting, poll_and_wait, "a waker was left in its place";
    /// A prepared operation starts its next flight with the waker of the last one.
    waker_left_for_the_next_flight: waker_left_by_waiting, prepared_poll_and_wait, "a waker was left in its place";
    /// The owner that leaves an operation leaves its waker in its place.
    waker_left_by_leaving: waker_left_by_leaving, prepared_poll_and_leave, "a waker was left in its place";
    /// A poll that comes too late leaves its waker in its place.
    waker_left_by_polling: waker_left_by_polling, prepared_await, "a waker was left in its place";
    /// A poll relies on the wake of another task.
    another_waker_not_woken: another_waker_not_woken, prepared_await, "deadlock";
    /// The holder returns a slot that is in flight.
    slot_in_flight_given_back: in_flight_not_left, prepared_leave_and_wait_for, "Causality violation";
    /// The holder returns a slot whose waker is being taken.
    slot_waking_given_back: waking_not_left, prepared_poll_and_leave, "every slot is back, once";
    /// The completion routine writes a slot that it has returned.
    slot_touched_after_giving_back: slot_touched_after_giving_back, prepared_leave_and_start, "Causality violation";
    /// The holder returns a slot that it has left to the completion routine, which returns it, too.
    slot_given_back_twice: given_back_twice, prepared_leave_and_wait_for, "Causality violation";
    /// The holder cancels an operation that it has left, and that already belongs to another holder.
    prepared_cancelled_after_leaving: cancelled_after_leaving, prepared_cancel_and_leave, "Causality violation";
    /// The last slot returns to a list that was freed.
    home_not_kept: missing_not_counted, prepared_close, "Causality violation";
    /// A slot that was abandoned stays abandoned for its next holder.
    not_taken_up_again: not_taken_up_again, prepared_given_up, "`None`";
    /// The event of one wait ends the next wait of the same operation.
    prepared_event_not_cleared: event_not_cleared, prepared_time_out, "result.is_ok()";
    /// The completion routine sets the event of an operation that is in its next flight.
    prepared_event_for_nobody: event_for_nobody, prepared_again, "`None`";
    /// The owner of a prepared operation looks without acquiring what the provider has written.
    prepared_looking_without_acquire: looking_without_acquire, prepared_again, "Causality violation";
    /// The state of a driver is taken while it is used.
    uses_not_awaited: uses_not_awaited, state_used_and_taken, "Causality violation";
    /// The last use ends before the event of the taking thread can be found.
    taken_without_a_use: taken_without_a_use, state_used_and_taken, "deadlock";
    /// A state is used while it is being taken.
    used_while_taken: used_while_taken, state_used_and_taken, "Causality violation";
    /// A use ends, but its reads may happen later.
    use_ended_without_release: use_ended_without_release, state_used_and_taken, "Causality violation";
    /// The state can be found before it is stored.
    put_without_release: put_without_release, state_put_and_used, "Causality violation";
}
