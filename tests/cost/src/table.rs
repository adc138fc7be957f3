//! The table of the measurements.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Calls, Completion, Cost, DEPTH, IN_FLIGHT_LIMIT, Scenario, Side};

/// All measurements.
#[derive(Debug, Clone)]
pub struct Table {
    /// Comparisons of Rust and C.
    pub rows: Vec<Row>,
    /// Comparisons of many operations in flight and one.
    pub in_flight: Vec<InFlight>,
}

/// A scenario on each side.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// The cost in C without anything that can be left out.
    pub lean: Cost,
    /// The cost in C that keeps the same promises as Rust, if that is other C.
    pub careful: Option<Cost>,
    /// The cost in Rust, if there is one.
    pub rust: Option<Cost>,
}

/// A scenario on one side, with one operation in flight and with many.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The scenario.
    pub scenario: Scenario,
    /// The side.
    pub side: Side,
    /// When the provider completes IRPs.
    pub completion: Completion,
    /// The cost of an operation when one is in flight.
    pub one: Cost,
    /// The cost of an operation when [`DEPTH`] are in flight.
    pub many: Cost,
}

/// A cost of Rust as a multiple of a cost of C.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// What is compared.
    pub of: &'static str,
    /// The ratio.
    pub ratio: f64,
    /// The limit for the ratio.
    pub limit: f64,
}

impl Row {
    /// All instructions of Rust, as a multiple of those of lean C.
    #[must_use]
    pub fn all(&self) -> Option<Ratio> {
        Some(Ratio {
            of: "all instructions, to lean C",
            ratio: self.rust.as_ref()?.all() / self.lean.all(),
            limit: self.scenario.all_limit(),
        })
    }

    /// Instructions outside the host kernel of Rust, as a multiple of those of lean C.
    #[must_use]
    pub fn own(&self) -> Option<Ratio> {
        Some(Ratio {
            of: "outside the kernel, to lean C",
            ratio: self.rust.as_ref()?.own() / self.lean.own(),
            limit: self.scenario.own_limit(),
        })
    }

    /// Instructions outside the host kernel of Rust, as a multiple of those of C that keeps the same promises.
    #[must_use]
    pub fn own_to_careful(&self) -> Option<Ratio> {
        Some(Ratio {
            of: "outside the kernel, to careful C",
            ratio: self.rust.as_ref()?.own() / self.careful.as_ref()?.own(),
            limit: self.scenario.careful_limit()?,
        })
    }

    /// The ratios that exist.
    pub fn ratios(&self) -> impl Iterator<Item = Ratio> {
        let ratios = [self.all(), self.own(), self.own_to_careful()];
        ratios.into_iter().flatten()
    }

    /// The sides that exist.
    pub fn costs(&self) -> impl Iterator<Item = (Side, &Cost)> {
        let lean = Some((Side::Lean, &self.lean));
        let careful = self.careful.as_ref().map(|cost| (Side::Careful, cost));
        let rust = self.rust.as_ref().map(|cost| (Side::Rust, cost));
        [lean, careful, rust].into_iter().flatten()
    }

    /// The limits that are exceeded.
    #[must_use]
    pub fn exceeded(&self) -> Vec<String> {
        let name = self.scenario.name;
        let over = self.ratios().filter(|ratio| ratio.ratio > ratio.limit);
        let mut exceeded: Vec<_> = over
            .map(|over| format!("{name}: {}: {:.3}", over.of, over.ratio))
            .collect();
        for (side, cost) in self.costs() {
            if cost.allocations() > 0 {
                let count = cost.allocations();
                exceeded.push(format!("{name}: {count} allocations in {side}"));
            }
            if cost.locks() > 0 {
                let (locks, operations) = (cost.locks(), cost.operations());
                exceeded.push(format!(
                    "{name}: {locks} locks in {operations} operations in {side}"
                ));
            }
        }
        exceeded
    }
}

impl InFlight {
    /// Instructions outside the host kernel, with many in flight as a multiple of those with one.
    #[must_use]
    pub fn own_ratio(&self) -> f64 {
        self.many.own() / self.one.own()
    }

    /// All instructions, with many in flight as a multiple of those with one. Only with inline completion: the cost of handing an
    /// operation to another thread and back depends on how often the host must wake that thread.
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
                    "{} ({}, {:?}): {ratio:.3} times the cost at {DEPTH} in flight",
                    self.scenario.name, self.side, self.completion
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
            "{:40} {:>31}   {:>47}",
            "", "all", "outside the host kernel"
        )?;
        writeln!(
            f,
            "{:40} {:>7} {:>7} {:>15}   {:>7} {:>7} {:>15} {:>7} {:>15}",
            "scenario",
            "lean C",
            "Rust",
            "ratio (limit)",
            "lean C",
            "Rust",
            "ratio (limit)",
            "careful",
            "ratio (limit)"
        )?;
        for row in &self.rows {
            let (lean, rust, careful) = (&row.lean, row.rust.as_ref(), row.careful.as_ref());
            writeln!(
                f,
                "{:40} {:>7} {:>7} {:>15}   {:>7} {:>7} {:>15} {:>7} {:>15}",
                row.scenario.name,
                instructions(Some(lean.all())),
                instructions(rust.map(Cost::all)),
                with_limit(row.all()),
                instructions(Some(lean.own())),
                instructions(rust.map(Cost::own)),
                with_limit(row.own()),
                instructions(careful.map(Cost::own)),
                with_limit(row.own_to_careful()),
            )?;
        }

        writeln!(
            f,
            "\n1 and {DEPTH} in flight (limit {IN_FLIGHT_LIMIT:.2}), all and outside the host kernel"
        )?;
        let head = format!("{:>8} {:>8} {:>7}", "1", DEPTH, "ratio");
        writeln!(f, "{:59} {head}   {head}", "scenario")?;
        for row in &self.in_flight {
            let name = format!("{}, {}, {:?}", row.scenario.name, row.side, row.completion);
            write!(f, "{name:59} {:8.1} {:8.1}", row.one.all(), row.many.all())?;
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
            let names: BTreeSet<_> = row
                .costs()
                .flat_map(|(_, cost)| cost.calls.keys())
                .collect();
            for name in names {
                write!(f, "    {name:26}")?;
                for (side, cost) in row.costs() {
                    let Calls {
                        count,
                        instructions,
                    } = cost.calls.get(name).copied().unwrap_or_default();
                    let per_call = instructions.checked_div(count).unwrap_or(0);
                    write!(f, " {side} {:5.2} x {per_call:<5}", cost.each(count))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn instructions(count: Option<f64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"))
}

fn with_limit(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(
        || "-".to_owned(),
        |ratio| format!("{:.3} ({:.2})", ratio.ratio, ratio.limit),
    )
}
