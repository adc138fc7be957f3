//! The unchanged protocol holds in every interleaving.

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
    inline_and_take: None,
    look_and_take: None,
    look_and_leave: None,
    wait: None,
    wait_in_the_call: Some(3),
    wait_give_up_and_reuse: Some(3),
    give_up_and_take_or_leave: None,
    time_out_and_cancel: None,
    block_on: None,
    two_wakers: None,
    two_tasks_in_one_frame: None,
    poll_and_sleep: None,
    poll_and_wait: None,
    poll_wait_a_while_and_sleep: None,
    poll_give_up_and_leave: Some(4),
    leave: None,
    poll_and_leave: None,
    forget_it: None,
    cancel_and_wait: None,
    cancel_and_reuse: Some(3),
    cancel_and_leave: Some(4),
    cancel_and_leave_pooled: Some(3),
    leave_pooled: Some(3),
    pool_closed: Some(3),
    pool_idle: None,
    pool_idle_and_taken: Some(3),
    told: None,
    told_and_unloaded: None,
    prepared_told: None,
    close: Some(3),
    close_and_poll: Some(3),
    close_and_call_back: None,
    scope: Some(3),
    scope_given_up: None,
    pool_aba: None,
    pool_of_three_threads: Some(3),
    pool_waiters_one_slot: Some(3),
    pool_waiters_two_slots: Some(3),
    pool_waiter_gives_up: Some(3),
    prepared_again: None,
    prepared_time_out: Some(3),
    prepared_await: Some(3),
    prepared_poll_and_wait: None,
    prepared_poll_and_leave: Some(3),
    prepared_leave_and_start: Some(3),
    prepared_leave_and_wait_for: Some(3),
    prepared_cancel_and_leave: Some(3),
    prepared_forget: None,
    prepared_close: Some(3),
    prepared_given_up: Some(3),
    state_used_and_taken: Some(3),
    state_put_and_used: None,
    state_taken_twice: Some(3),
}
