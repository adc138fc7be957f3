//! What drivers put in memory of their own and the executive works on: lists without a lock, lookaside lists, locks, rundown
//! protection. Stands for the `Ex…` functions of `ntoskrnl.exe` that are not about pool memory.

mod holders;
pub(crate) mod lookaside;
pub(crate) mod mutex;
mod push_lock;
pub(crate) mod rundown;
mod slist;
mod spin_lock;

use crate::origin::Whose;
use holders::Holders;

/// Who holds the locks of each kind.
fn holders() -> [&'static Holders; 3] {
    [&push_lock::HELD, &spin_lock::HELD, &mutex::HELD]
}

/// What was left behind, as lines of a leak report.
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

/// Stops when the thread, which is about to end, still holds something that only it can give back.
pub(crate) fn thread_ends() {
    for holders in holders() {
        holders.thread_ends();
    }
    // Last: leaving a lock behind often leaves a critical region behind, too.
    mutex::require_no_region();
}
