//! Objects in the driver's memory that the executive works on: lists without a lock, lookaside lists, locks, rundown protection.
//! Stands for the `Ex…` functions of `ntoskrnl.exe` that are not about pool memory.

mod holders;
pub(crate) mod lookaside;
pub(crate) mod mutex;
mod push_lock;
pub(crate) mod rundown;
mod slist;
mod spin_lock;

use crate::origin::Whose;
use holders::Holders;

/// The holders of the locks of each kind.
fn holders() -> [&'static Holders; 3] {
    [&push_lock::HELD, &spin_lock::HELD, &mutex::HELD]
}

/// The objects that were left behind, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = lookaside::leaks(whose);
    for holders in holders() {
        lines.extend(holders.leaks(whose));
    }
    lines
}

/// Forgets everything.
pub(crate) fn reset() {
    lookaside::reset();
    rundown::reset();
    for holders in holders() {
        holders.reset();
    }
}

/// Stops when a thread that is about to end still holds a lock or is in a critical region.
pub(crate) fn thread_ends() {
    for holders in holders() {
        holders.thread_ends();
    }
    // Last: a thread that keeps a lock often keeps a critical region too, and the lock is the better report.
    mutex::require_no_region();
}
