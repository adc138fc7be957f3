//! The protocol as it is holds in every interleaving.

mod scenarios;

use std::time::Instant;

use wsk_model::{Faithful, explore};

macro_rules! hold {
    ($($scenario:ident: $preemptions:literal),* $(,)?) => {
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
    inline_and_take: 3,
    look_and_take: 3,
    look_and_leave: 3,
    wait: 3,
    wait_give_up_and_reuse: 3,
    give_up_and_take_or_leave: 3,
    time_out_and_cancel: 3,
    block_on: 3,
    two_wakers: 3,
    poll_and_sleep: 3,
    poll_and_wait: 3,
    poll_give_up_and_leave: 3,
    leave: 3,
    poll_and_leave: 3,
    forget_it: 3,
    cancel_and_wait: 3,
    cancel_and_reuse: 3,
    cancel_and_leave: 3,
    cancel_and_leave_pooled: 3,
    leave_pooled: 3,
    close: 3,
    close_and_poll: 3,
    scope: 3,
    pool_aba: 3,
    pool_of_three_threads: 2,
    pool_waiters_one_slot: 2,
    pool_waiters_two_slots: 2,
    pool_waiter_gives_up: 2,
}
