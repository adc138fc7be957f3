//! The host kernel's record of an IRP: its owner, and its last steps.

use core::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::flight::Flight;
use crate::irql;
use crate::origin::{self, Origin, Thread};
use crate::trace::{self, IrpStep};

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whom an IRP belongs to.
pub(super) enum State {
    /// To the driver.
    Driver,
    /// To the provider, until it completes it.
    Provider(Flight),
    /// To the driver of the device that `IofCallDriver` sent it to.
    Sent,
    /// To the I/O manager, on its way back up.
    Completing,
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver => f.write_str("belongs to the driver"),
            Self::Provider(flight) => flight.fmt(f),
            Self::Sent => f.write_str("belongs to the device that IoCallDriver sent it to"),
            Self::Completing => f.write_str("is being completed"),
        }
    }
}

/// The last steps of an IRP.
struct History {
    steps: [Option<(IrpStep, u32, u8)>; History::LENGTH],
    count: u32,
}

impl History {
    const LENGTH: usize = 16;

    const fn new() -> Self {
        Self {
            steps: [None; Self::LENGTH],
            count: 0,
        }
    }

    #[inline]
    fn push(&mut self, step: IrpStep) {
        self.steps[self.count as usize % Self::LENGTH] =
            Some((step, origin::thread_number(), irql::current()));
        self.count = self.count.wrapping_add(1);
    }
}

impl Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = (self.count as usize).saturating_sub(Self::LENGTH);
        for index in first..self.count as usize {
            if let Some((step, thread, level)) = self.steps[index % Self::LENGTH] {
                write!(
                    f,
                    "\n    {}. {step} ({}, {})",
                    index + 1,
                    Thread(thread),
                    irql::name(level)
                )?;
            }
        }
        Ok(())
    }
}

/// A step to report to the listeners once no lock is held, because listeners may call anything.
#[must_use = "the listeners have to be told"]
pub(super) struct Told {
    number: u64,
    step: IrpStep,
}

impl Told {
    #[inline]
    pub(super) fn tell(self, address: usize) {
        trace::irp(self.number, address, self.step);
    }
}

/// The host kernel's record of an IRP.
pub(super) struct Record {
    pub(super) number: u64,
    /// Whether `IoAllocateIrp` has made the IRP, and not `IoInitializeIrp`.
    pub(super) allocated: bool,
    pub(super) size: usize,
    /// A number that changes whenever a call takes the IRP or the driver reuses it.
    pub(super) generation: u64,
    pub(super) state: State,
    pub(super) origin: Origin,
    history: History,
}

impl Record {
    /// Records an IRP of `size` bytes that `function` makes for a driver.
    pub(super) fn new(function: &'static str, allocated: bool, size: usize) -> Self {
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1,
            allocated,
            size,
            generation: 0,
            state: State::Driver,
            origin: Origin::here(function),
            history: History::new(),
        }
    }

    #[inline]
    pub(super) fn step(&mut self, step: IrpStep) -> Told {
        self.history.push(step);
        Told {
            number: self.number,
            step,
        }
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.allocated {
            "IoAllocateIrp"
        } else {
            "IoInitializeIrp"
        };
        write!(
            f,
            "irp#{} ({how}), {}{}\n    made by {}",
            self.number, self.state, self.history, self.origin
        )
    }
}

/// Numbers IRPs from 1 again.
pub(super) fn reset() {
    NUMBERS.store(0, Ordering::Relaxed);
}
