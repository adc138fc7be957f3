//! The protocol as it is holds in every interleaving.

use std::time::Instant;

use wsk_model::{Faithful, explore};

use crate::scenarios;

macro_rules! hold {
    ($($scenario:ident: $preemptions:expr),* $(,)?) => {
        $(
            #[test]
            fn $scenario() {
                let start = Instant::now();
                explore($preemptions, scenarios::$scenario::<Faithful>);
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
    wait_give_up_and_reuse: Some(4),
    give_up_and_take_or_leave: None,
    time_out_and_cancel: None,
    block_on: None,
    two_wakers: None,
    poll_and_sleep: None,
    poll_and_wait: None,
    poll_give_up_and_leave: None,
    leave: None,
    poll_and_leave: None,
    forget_it: None,
    cancel_and_wait: None,
    cancel_and_reuse: None,
    cancel_and_leave: None,
    cancel_and_leave_pooled: None,
    leave_pooled: None,
    close: None,
    close_and_poll: None,
    close_and_call_back: None,
    scope: Some(3),
    pool_aba: None,
    pool_of_three_threads: Some(3),
    pool_waiters_one_slot: Some(3),
    pool_waiters_two_slots: Some(3),
    pool_waiter_gives_up: Some(3),
    prepared_again: None,
    prepared_time_out: Some(4),
    prepared_await: Some(4),
    prepared_poll_and_wait: None,
    prepared_poll_and_leave: Some(4),
    prepared_leave_and_start: Some(4),
    prepared_leave_and_wait_for: Some(4),
    prepared_cancel_and_leave: Some(4),
    prepared_forget: None,
    prepared_close: None,
    prepared_given_up: Some(4),
}
