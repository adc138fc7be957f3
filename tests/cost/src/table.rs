//! The table of what was measured.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Calls, Completion, Cost, DEPTH, IN_FLIGHT_LIMIT, LOCKS_LIMIT, Scenario};

/// All that was measured.
#[derive(Debug, Clone)]
pub struct Table {
    /// Rust and C.
    pub rows: Vec<Row>,
    /// Many in flight and one.
    pub in_flight: Vec<InFlight>,
}

/// A scenario in both languages.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// What it costs in C.
    pub c: Cost,
    /// What it costs in Rust.
    pub rust: Cost,
}

/// A scenario in Rust with one operation in flight and with many.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The scenario.
    pub scenario: Scenario,
    /// When the provider completes.
    pub completion: Completion,
    /// What an operation costs that is alone in flight.
    pub one: Cost,
    /// What it costs when [`DEPTH`] are.
    pub many: Cost,
}

impl Row {
    /// All instructions, Rust to C.
    #[must_use]
    pub fn all_ratio(&self) -> f64 {
        self.rust.all() / self.c.all()
    }

    /// Instructions outside the host kernel, Rust to C.
    #[must_use]
    pub fn own_ratio(&self) -> f64 {
        self.rust.own() / self.c.own()
    }

    /// The limits that are exceeded.
    #[must_use]
    pub fn exceeded(&self) -> Vec<String> {
        let name = self.scenario.name;
        let mut exceeded = Vec::new();
        if self.all_ratio() > self.scenario.all_limit() {
            exceeded.push(format!("{name}: all instructions: {:.3}", self.all_ratio()));
        }
        if self.own_ratio() > self.scenario.own_limit() {
            exceeded.push(format!(
                "{name}: outside the kernel: {:.3}",
                self.own_ratio()
            ));
        }
        if self.rust.allocations() > 0 {
            let count = self.rust.allocations();
            exceeded.push(format!("{name}: {count} allocations"));
        }
        if self.rust.locks() > LOCKS_LIMIT * self.rust.operations() {
            let (locks, operations) = (self.rust.locks(), self.rust.operations());
            exceeded.push(format!("{name}: {locks} locks in {operations} operations"));
        }
        exceeded
    }
}

impl InFlight {
    /// Instructions outside the host kernel, many to one.
    #[must_use]
    pub fn own_ratio(&self) -> f64 {
        self.many.own() / self.one.own()
    }

    /// All instructions, many to one. Only with inline completion: what it takes the host to hand an operation to another
    /// thread and back depends on how often that thread has to be woken.
    #[must_use]
    pub fn all_ratio(&self) -> Option<f64> {
        let inline = self.completion == Completion::Inline;
        inline.then(|| self.many.all() / self.one.all())
    }

    /// The limits that are exceeded.
    #[must_use]
    pub fn exceeded(&self) -> Vec<String> {
        let ratios = [Some(self.own_ratio()), self.all_ratio()];
        let over = ratios.into_iter().flatten();
        over.filter(|ratio| *ratio > IN_FLIGHT_LIMIT)
            .map(|ratio| {
                format!(
                    "{} ({:?}): {ratio:.3} times the cost at {DEPTH} in flight",
                    self.scenario.name, self.completion
                )
            })
            .collect()
    }
}

impl Table {
    /// The limits that are exceeded.
    #[must_use]
    pub fn exceeded(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(Row::exceeded);
        rows.chain(self.in_flight.iter().flat_map(InFlight::exceeded))
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Instructions per operation")?;
        writeln!(
            f,
            "{:39} {:>33}   {:>33}",
            "", "all", "outside the host kernel"
        )?;
        let head = format!("{:>8} {:>8} {:>7} {:>7}", "C", "Rust", "ratio", "limit");
        writeln!(f, "{:39} {head}   {head}", "scenario")?;
        for row in &self.rows {
            writeln!(
                f,
                "{:39} {:8.1} {:8.1} {:7.3} {:7.2}   {:8.1} {:8.1} {:7.3} {:7.2}",
                row.scenario.name,
                row.c.all(),
                row.rust.all(),
                row.all_ratio(),
                row.scenario.all_limit(),
                row.c.own(),
                row.rust.own(),
                row.own_ratio(),
                row.scenario.own_limit()
            )?;
        }

        writeln!(
            f,
            "\nThe same in Rust, 1 and {DEPTH} in flight (limit {IN_FLIGHT_LIMIT:.2})"
        )?;
        let head = format!("{:>8} {:>8} {:>7}", "1", DEPTH, "ratio");
        writeln!(f, "{:50} {head}   {head}", "scenario")?;
        for row in &self.in_flight {
            let name = format!("{}, {:?}", row.scenario.name, row.completion);
            write!(f, "{name:50} {:8.1} {:8.1}", row.one.all(), row.many.all())?;
            match row.all_ratio() {
                Some(ratio) => write!(f, " {ratio:7.3}")?,
                None => write!(f, " {:>7}", "-")?,
            }
            writeln!(
                f,
                "   {:8.1} {:8.1} {:7.3}",
                row.one.own(),
                row.many.own(),
                row.own_ratio()
            )?;
        }

        writeln!(
            f,
            "\nFunctions of the kernel: calls per operation, and instructions of each"
        )?;
        for row in &self.rows {
            writeln!(f, "{}", row.scenario.name)?;
            let names: BTreeSet<_> = row.c.calls.keys().chain(row.rust.calls.keys()).collect();
            for name in names {
                let each = |cost: &Cost| {
                    let Calls {
                        count,
                        instructions,
                    } = cost.calls.get(name).copied().unwrap_or_default();
                    let per_call = instructions.checked_div(count).unwrap_or(0);
                    format!("{:5.2} x {per_call:<5}", cost.each(count))
                };
                writeln!(
                    f,
                    "    {name:26} C {}   Rust {}",
                    each(&row.c),
                    each(&row.rust)
                )?;
            }
        }
        Ok(())
    }
}
