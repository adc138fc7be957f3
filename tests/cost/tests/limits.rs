//! Fails where the cost of `wsk` exceeds a limit.

use std::sync::LazyLock;

use wsk_cost::{IN_FLIGHT_LIMIT, Ratio, Row, Side, Table};

static TABLE: LazyLock<Table> = LazyLock::new(|| match wsk_cost::measure() {
    Ok(table) => table,
    Err(error) => panic!("{error}"),
});

fn within_limits(ratio: impl Fn(&Row) -> Option<Ratio>) {
    let mut judged = 0;
    for row in &TABLE.rows {
        let Some(Ratio { of, ratio, limit }) = ratio(row) else {
            continue;
        };
        judged += 1;
        assert!(
            ratio <= limit,
            "{}: {of}: {ratio:.3}\n{}",
            row.scenario.name,
            *TABLE
        );
    }
    assert!(
        judged >= 4,
        "only {judged} rows have this ratio\n{}",
        *TABLE
    );
}

#[test]
fn all_instructions_are_hardly_more_than_in_c() {
    within_limits(Row::all);
}

#[test]
fn instructions_outside_the_kernel_are_little_more_than_in_c() {
    within_limits(Row::own);
}

#[test]
fn instructions_outside_the_kernel_are_hardly_more_than_in_c_that_keeps_the_same_promises() {
    within_limits(Row::own_to_careful);
}

#[test]
fn nothing_is_allocated_and_no_lock_taken() {
    for row in &TABLE.rows {
        for (side, cost) in row.costs() {
            assert_eq!(cost.allocations(), 0, "{}, {side}", row.scenario.name);
            assert_eq!(cost.locks(), 0, "{}, {side}", row.scenario.name);
        }
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
                "{}, {}, {:?}: {ratio:.3}\n{}",
                row.scenario.name,
                row.side,
                row.completion,
                *TABLE
            );
        }
    }
}

/// Checks the measurement itself, whatever the cost: the calls that are compared must be there.
#[test]
fn all_sides_make_the_calls_that_are_compared() {
    for row in &TABLE.rows {
        let name = row.scenario.name;
        let call = if name.to_lowercase().contains("send") {
            "WskSendTo"
        } else {
            "WskReceiveFrom"
        };
        for (side, cost) in row.costs() {
            for function in [call, "IoReuseIrp"] {
                assert_eq!(
                    cost.calls(function).count,
                    cost.operations(),
                    "{name}, {side}: {function}"
                );
            }
            assert!(cost.own() > 10.0, "{name}, {side}: {}", cost.own());
            assert!(
                cost.all() > cost.own() + 100.0,
                "{name}, {side}: {} and {}",
                cost.all(),
                cost.own()
            );
        }
    }
}

/// The promises that the careful C keeps must cost something.
#[test]
fn careful_c_costs_more_than_lean_c() {
    for row in &TABLE.rows {
        let Some(careful) = &row.careful else {
            continue;
        };
        assert!(
            careful.own() > row.lean.own(),
            "{}, {}: {} and {}\n{}",
            row.scenario.name,
            Side::Careful,
            careful.own(),
            row.lean.own(),
            *TABLE
        );
    }
}

/// The rows of the README's table, and their names here.
const IN_THE_README: [(&str, &str); 4] = [
    (
        "send again what is prepared, and wait",
        "send_to, prepared: wait",
    ),
    (
        "send to any address, and wait",
        "send_to, encoded address: wait",
    ),
    (
        "receive from any address, and wait",
        "receive_from, address left encoded: wait",
    ),
    (
        "send from a pool, told by a callback",
        "send_to, pooled: told by a callback",
    ),
];

/// Another compiler version may differ by an instruction or two.
#[test]
fn the_readme_tells_what_is_measured() {
    let readme = include_str!("../../../README.md");
    for (words, name) in IN_THE_README {
        let row = TABLE.rows.iter().find(|row| row.scenario.name == name);
        let row = row.unwrap_or_else(|| panic!("no scenario is called {name}"));
        let line = readme.lines().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("the README has no row {words:?}"));
        let told: Vec<&str> = line.trim().split('|').map(str::trim).collect();
        let [_, _, lean, careful, rust, _] = told[..] else {
            panic!("not three numbers: {line}");
        };
        for (side, told, cost) in [
            (Side::Lean, lean, Some(&row.lean)),
            (Side::Careful, careful, row.careful.as_ref()),
            (Side::Rust, rust, row.rust.as_ref()),
        ] {
            let Some(cost) = cost else {
                assert_eq!(
                    told, "",
                    "{words}, {side}: nothing was measured\n{}",
                    *TABLE
                );
                continue;
            };
            let told: f64 = told.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(
                (told - cost.own()).abs() <= 1.0 + told / 50.0,
                "{words}, {side}: the README has {told}, measured are {}\n{}",
                cost.own(),
                *TABLE
            );
        }
    }
}
