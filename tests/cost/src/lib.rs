//! Measures the cost of `wsk` in instructions, and compares it with handwritten C: `cargo bench -p wsk-cost` prints the table,
//! and the tests fail if a limit is exceeded.
//!
//! # Method
//!
//! A driver is built as one shared object with link-time optimisation (the profile `cost`). It contains the Rust side
//! (`driver/lib.rs`) and the C side (`c`, clang at `-O2`). The C side does each thing twice: *lean*, without anything that can be
//! left out (`c/lean.c`), and *careful*, with the promises that `wsk` keeps (`c/careful.c`). The host kernel is a shared object
//! of its own, whose provider only completes each IRP. `wsk-cost-run` loads both and runs one [`Scenario`] under callgrind: some
//! operations to warm up, then N, then 2 N. Callgrind dumps its counts in between. The difference of the last two, divided by N,
//! is the [`Cost`] of one operation: whatever happens once per phase cancels out.
//!
//! Each instruction belongs to the shared object that contains it, so the counts need no guesses:
//!
//! * *All* counts every instruction, in whatever object.
//! * *Own* counts the instructions outside the host kernel: those of the driver's object, whoever calls it (the kernel calls
//!   completion routines), and those of other objects, such as `memcpy` of the C library, when the driver calls them. Functions
//!   that the kernel itself calls there count for the kernel.
//!
//! The calls from the driver's object into the kernel's are counted by name, which shows allocations and locks.
//!
//! Under valgrind the addresses, the environment and the input of a program are the same each time, and so is the program's own
//! cost. All instructions together vary by about one in a thousand, because threads of the host kernel sleep and wake beside the
//! driver. With deferred completion these threads do the work, so the counts vary more and are not compared.

mod artifacts;
mod callgrind;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

use artifacts::Artifacts;
pub use artifacts::cargo;
pub use table::{InFlight, Ratio, Row, Table};

/// The limit for the cost of an operation with [`DEPTH`] in flight, as a multiple of its cost with one in flight.
pub const IN_FLIGHT_LIMIT: f64 = 1.10;
/// How many operations are in flight at once in the deep measurements.
pub const DEPTH: u64 = 1024;
/// How many operations the first phase runs. The second phase runs twice as many.
const OPERATIONS: u64 = 2 * DEPTH;

/// A use of `wsk` that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The limit for all instructions of Rust, in hundredths of those of lean C.
    all_limit: u32,
    /// The same limit for the instructions outside the host kernel.
    own_limit: u32,
    /// Its number in lean C.
    lean: u32,
    /// Its form in C that keeps the same promises. `None` if lean C keeps them.
    careful: Option<Careful>,
    /// Its number in Rust.
    rust: u32,
}

/// A scenario in C that keeps the same promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Careful {
    /// Its number in C.
    number: u32,
    /// The limit for Rust's instructions outside the host kernel, in hundredths of those of this C.
    own_limit: u32,
}

impl Scenario {
    /// The limit for all instructions of Rust, as a multiple of those of lean C.
    #[must_use]
    pub fn all_limit(&self) -> f64 {
        f64::from(self.all_limit) / 100.0
    }

    /// The limit for Rust's instructions outside the host kernel, as a multiple of those of lean C.
    #[must_use]
    pub fn own_limit(&self) -> f64 {
        f64::from(self.own_limit) / 100.0
    }

    /// The limit for Rust's instructions outside the host kernel, as a multiple of those of C that keeps the same promises, if
    /// there is such C.
    #[must_use]
    pub fn careful_limit(&self) -> Option<f64> {
        self.careful
            .map(|careful| f64::from(careful.own_limit) / 100.0)
    }

    /// The number of the scenario on a side.
    fn number(&self, side: Side) -> Option<u32> {
        match side {
            Side::Lean => Some(self.lean),
            Side::Careful => self.careful.map(|careful| careful.number),
            Side::Rust => Some(self.rust),
        }
    }
}

/// Sends that the driver waits for, each with its own operation.
const SEND_IN_FLIGHT: Scenario = Scenario {
    name: "send_to, prepared and pooled: start, waited for",
    all_limit: 105,
    own_limit: 126,
    lean: 2,
    careful: None,
    rust: 2,
};

/// The same for receives.
const RECEIVE_IN_FLIGHT: Scenario = Scenario {
    name: "receive_from, prepared and pooled: start, waited for",
    all_limit: 105,
    own_limit: 124,
    lean: 4,
    careful: None,
    rust: 4,
};

/// The same for any buffer and any address.
const SEND_TO_IN_FLIGHT: Scenario = Scenario {
    name: "send_to, pooled: start, waited for",
    all_limit: 105,
    own_limit: 145,
    lean: 2,
    careful: Some(Careful {
        number: 9,
        own_limit: 110,
    }),
    rust: 9,
};

/// The same for any buffer.
const RECEIVE_FROM_IN_FLIGHT: Scenario = Scenario {
    name: "receive_from, pooled: start, waited for",
    all_limit: 105,
    own_limit: 152,
    lean: 4,
    careful: Some(Careful {
        number: 11,
        own_limit: 108,
    }),
    rust: 11,
};

/// The scenarios that are compared with C.
const SCENARIOS: [Scenario; 13] = [
    Scenario {
        name: "send_to, prepared: wait",
        all_limit: 104,
        own_limit: 115,
        lean: 0,
        careful: None,
        rust: 0,
    },
    Scenario {
        name: "send_to, prepared and pooled: start, dropped",
        all_limit: 105,
        own_limit: 110,
        lean: 1,
        careful: None,
        rust: 1,
    },
    SEND_IN_FLIGHT,
    Scenario {
        name: "receive_from, prepared: wait",
        all_limit: 104,
        own_limit: 121,
        lean: 3,
        careful: None,
        rust: 3,
    },
    RECEIVE_IN_FLIGHT,
    Scenario {
        name: "send_to, encoded address: wait",
        all_limit: 104,
        own_limit: 180,
        lean: 0,
        careful: Some(Careful {
            number: 5,
            own_limit: 100,
        }),
        rust: 5,
    },
    Scenario {
        name: "send_to: wait",
        all_limit: 104,
        own_limit: 220,
        lean: 0,
        careful: Some(Careful {
            number: 6,
            own_limit: 103,
        }),
        rust: 6,
    },
    Scenario {
        name: "receive_from, address left encoded: wait",
        all_limit: 104,
        own_limit: 160,
        lean: 3,
        careful: Some(Careful {
            number: 7,
            own_limit: 92,
        }),
        rust: 7,
    },
    Scenario {
        name: "send_to, pooled: start, dropped",
        all_limit: 105,
        own_limit: 160,
        lean: 1,
        careful: Some(Careful {
            number: 8,
            own_limit: 112,
        }),
        rust: 8,
    },
    SEND_TO_IN_FLIGHT,
    Scenario {
        name: "send_to, pooled: told by a callback",
        all_limit: 105,
        own_limit: 154,
        lean: 1,
        careful: Some(Careful {
            number: 10,
            own_limit: 103,
        }),
        rust: 10,
    },
    RECEIVE_FROM_IN_FLIGHT,
    // A header in front of a packet that belongs to somebody else, sent from a certain address of this machine.
    Scenario {
        name: "tunnel send, pooled: told by a callback",
        all_limit: 105,
        own_limit: 256,
        lean: 12,
        careful: Some(Careful {
            number: 13,
            own_limit: 115,
        }),
        rust: 12,
    },
];

/// The scenarios that are compared with themselves, with many operations in flight and with one.
const IN_FLIGHT: [Scenario; 4] = [
    SEND_IN_FLIGHT,
    RECEIVE_IN_FLIGHT,
    SEND_TO_IN_FLIGHT,
    RECEIVE_FROM_IN_FLIGHT,
];

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// C without anything that can be left out.
    Lean,
    /// C that keeps the promises of `wsk`.
    Careful,
    /// Rust, through `wsk`.
    Rust,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lean => "lean C",
            Self::Careful => "careful C",
            Self::Rust => "Rust",
        })
    }
}

/// When the provider completes IRPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completion {
    /// Before the call returns.
    Inline,
    /// In a deferred procedure call, after the call has returned `STATUS_PENDING`.
    Deferred,
}

/// The driver's calls of one kernel function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// The number of calls.
    pub count: u64,
    /// The instructions of these calls, including everything that they call.
    pub instructions: u64,
}

/// The cost of a number of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    operations: u64,
    all: u64,
    own: u64,
    calls: BTreeMap<String, Calls>,
    allocations: u64,
}

impl Cost {
    /// All instructions of one operation.
    #[must_use]
    pub fn all(&self) -> f64 {
        self.each(self.all)
    }

    /// The instructions of one operation outside the host kernel.
    #[must_use]
    pub fn own(&self) -> f64 {
        self.each(self.own)
    }

    /// Pool blocks, IRPs and MDLs that all the operations allocated, including those of the first measured phase.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        let calls = self.calls_named("Allocate");
        self.allocations.max(calls)
    }

    /// Locks that all the operations took.
    #[must_use]
    pub fn locks(&self) -> u64 {
        self.calls_named("Acquire")
    }

    /// Calls of the kernel function with this name by all the operations.
    #[must_use]
    pub fn calls(&self, function: &str) -> Calls {
        self.calls.get(function).copied().unwrap_or_default()
    }

    /// The number of operations in this cost.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    fn calls_named(&self, part: &str) -> u64 {
        let named = self.calls.iter().filter(|(name, _)| name.contains(part));
        named.map(|(_, calls)| calls.count).sum()
    }

    fn each(&self, total: u64) -> f64 {
        real(total) / real(self.operations)
    }
}

fn real(count: u64) -> f64 {
    // The numbers are far below that: a million instructions for each of some thousand operations.
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// The reason why nothing could be measured.
#[derive(Debug, Clone)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Builds the driver and the kernel, and measures every scenario.
///
/// # Errors
///
/// When a tool is missing or fails. The text says what to do about it.
pub fn measure() -> Result<Table, Error> {
    use Completion::{Deferred, Inline};

    callgrind::find()?;
    let artifacts = Artifacts::build()?;
    let sides = [Side::Lean, Side::Careful, Side::Rust];
    let mut runs = BTreeSet::new();
    for side in sides {
        let scenarios = SCENARIOS.iter();
        runs.extend(scenarios.filter_map(|scenario| Run::of(scenario, side, 1, Inline)));
    }
    let mut deep = Vec::new();
    for scenario in IN_FLIGHT {
        let c = scenario.careful.map_or(Side::Lean, |_| Side::Careful);
        for side in [c, Side::Rust] {
            for completion in [Inline, Deferred] {
                let run = |depth| Run::of(&scenario, side, depth, completion);
                if let (Some(one), Some(many)) = (run(1), run(DEPTH)) {
                    deep.push((scenario, one, many));
                    runs.extend([one, many]);
                }
            }
        }
    }
    let costs = measure_each(&artifacts, runs)?;
    let cost = |run: &Run| costs.get(run).cloned().unwrap_or_default();
    let rows = SCENARIOS.map(|scenario| {
        let [lean, careful, rust] =
            sides.map(|side| Run::of(&scenario, side, 1, Inline).map(|run| cost(&run)));
        Row {
            scenario,
            lean: lean.unwrap_or_default(),
            careful,
            rust,
        }
    });
    let in_flight = deep.iter().map(|(scenario, one, many)| InFlight {
        scenario: *scenario,
        side: one.side,
        completion: one.completion,
        one: cost(one),
        many: cost(many),
    });
    Ok(Table {
        rows: rows.into(),
        in_flight: in_flight.collect(),
    })
}

/// One run of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    side: Side,
    /// The number of the scenario.
    number: u32,
    depth: u64,
    completion: Completion,
}

impl Run {
    fn of(scenario: &Scenario, side: Side, depth: u64, completion: Completion) -> Option<Self> {
        Some(Self {
            side,
            number: scenario.number(side)?,
            depth,
            completion,
        })
    }
}

/// Measures runs, two at a time. Each is one process that keeps one processor busy.
fn measure_each(artifacts: &Artifacts, runs: BTreeSet<Run>) -> Result<BTreeMap<Run, Cost>, Error> {
    let left = Mutex::new(runs.into_iter());
    let next = || left.lock().ok()?.next();
    let some = || -> Result<Vec<(Run, Cost)>, Error> {
        let runs = std::iter::from_fn(&next);
        runs.map(|run| Ok((run, callgrind::run(artifacts, run)?)))
            .collect()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(some);
        let mut costs = some()?;
        let other = other.join();
        costs.extend(other.map_err(|_| Error("a thread panicked".to_owned()))??);
        Ok(costs.into_iter().collect())
    })
}
