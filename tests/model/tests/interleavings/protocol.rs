//! The protocol as it is holds in every interleaving.

use std::time::Instant;

use wsk_model::explore;

use crate::scenarios;

macro_rules! hold {
    ($($scenario:ident: $preemptions:expr),* $(,)?) => {
        $(
            #[test]
            fn $scenario() {
                let start = Instant::now();
                explore($preemptions, scenarios::$scenario);
                println!("{}: {:?}", stringify!($scenario), start.elapsed());
            }
        )*
    };
}

hold! {
    inline_and_take: Some(3),
    look_and_take: Some(3),
    look_and_leave: Some(3),
    wait: Some(3),
    wait_in_the_call: Some(3),
    wait_give_up_and_reuse: Some(3),
    give_up_and_take_or_leave: Some(3),
    time_out_and_cancel: Some(3),
    block_on: Some(3),
    two_wakers: Some(3),
    poll_and_sleep: Some(3),
    poll_and_wait: Some(3),
    poll_wait_a_while_and_sleep: Some(3),
    poll_give_up_and_leave: Some(3),
    leave: Some(3),
    poll_and_leave: Some(3),
    forget_it: Some(3),
    cancel_and_wait: Some(3),
    cancel_and_reuse: Some(3),
    cancel_and_leave: Some(3),
    cancel_and_leave_pooled: Some(3),
    leave_pooled: Some(3),
    pool_closed: Some(3),
    pool_idle: Some(3),
    pool_idle_and_taken: Some(3),
    told: Some(3),
    told_and_unloaded: Some(3),
    prepared_told: Some(3),
    close: Some(3),
    close_and_poll: Some(3),
    close_and_call_back: Some(3),
    scope: Some(3),
    scope_given_up: Some(3),
    pool_aba: Some(3),
    pool_of_three_threads: Some(3),
    pool_waiters_one_slot: Some(3),
    pool_waiters_two_slots: Some(3),
    pool_waiter_gives_up: Some(3),
    prepared_again: Some(3),
    prepared_time_out: Some(3),
    prepared_await: Some(3),
    prepared_poll_and_wait: Some(3),
    prepared_poll_and_leave: Some(3),
    prepared_leave_and_start: Some(3),
    prepared_leave_and_wait_for: Some(3),
    prepared_cancel_and_leave: Some(3),
    prepared_forget: Some(3),
    prepared_close: Some(3),
    prepared_given_up: Some(3),
}
