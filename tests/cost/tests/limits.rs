//! Fails where the cost of `wsk` exceeds a limit.

use std::sync::LazyLock;

use wsk_cost::{IN_FLIGHT_LIMIT, LOCKS_LIMIT, Table};

static TABLE: LazyLock<Table> = LazyLock::new(|| match wsk_cost::measure() {
    Ok(table) => table,
    Err(error) => panic!("{error}"),
});

#[test]
fn all_instructions_are_hardly_more_than_in_c() {
    for row in &TABLE.rows {
        let (ratio, limit) = (row.all_ratio(), row.scenario.all_limit());
        assert!(
            ratio <= limit,
            "{}: {ratio:.3}\n{}",
            row.scenario.name,
            *TABLE
        );
    }
}

#[test]
fn instructions_outside_the_kernel_are_little_more_than_in_c() {
    for row in &TABLE.rows {
        let (ratio, limit) = (row.own_ratio(), row.scenario.own_limit());
        assert!(
            ratio <= limit,
            "{}: {ratio:.3}\n{}",
            row.scenario.name,
            *TABLE
        );
    }
}

#[test]
fn nothing_is_allocated_and_at_most_one_lock_taken() {
    for row in &TABLE.rows {
        assert_eq!(row.rust.allocations(), 0, "{}", row.scenario.name);
        let locks = row.rust.locks();
        assert!(
            locks <= LOCKS_LIMIT * row.rust.operations(),
            "{}: {locks} locks",
            row.scenario.name
        );
    }
}

#[test]
fn an_operation_costs_the_same_however_many_are_in_flight() {
    for row in &TABLE.in_flight {
        for ratio in [Some(row.own_ratio()), row.all_ratio()]
            .into_iter()
            .flatten()
        {
            assert!(
                ratio <= IN_FLIGHT_LIMIT,
                "{}, {:?}: {ratio:.3}\n{}",
                row.scenario.name,
                row.completion,
                *TABLE
            );
        }
    }
}

/// The measurement itself: what must be there whatever the cost is.
#[test]
fn both_sides_make_the_calls_that_are_compared() {
    for row in &TABLE.rows {
        let name = row.scenario.name;
        let call = if name.to_lowercase().contains("send") {
            "WskSendTo"
        } else {
            "WskReceiveFrom"
        };
        for cost in [&row.c, &row.rust] {
            for function in [call, "IoReuseIrp"] {
                assert_eq!(
                    cost.calls(function).count,
                    cost.operations(),
                    "{name}: {function}"
                );
            }
            assert!(cost.own() > 10.0, "{name}: {}", cost.own());
            assert!(
                cost.all() > cost.own() + 100.0,
                "{name}: {} and {}",
                cost.all(),
                cost.own()
            );
        }
    }
}
