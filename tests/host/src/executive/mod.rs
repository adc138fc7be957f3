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

/// What was left behind, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let mut lines = lookaside::leaks(whose);
    lines.extend(mutex::leaks(whose));
    lines.extend(push_lock::leaks(whose));
    lines.extend(spin_lock::leaks(whose));
    lines
}

/// Forgets everything.
pub(crate) fn reset() {
    lookaside::reset();
    mutex::reset();
    push_lock::reset();
    rundown::reset();
    spin_lock::reset();
}

/// Stops when the thread, which is about to end, still holds something that only it can give back.
pub(crate) fn thread_ends() {
    push_lock::thread_ends();
    spin_lock::thread_ends();
    // Last: leaving a lock behind often leaves a critical region behind, too.
    mutex::thread_ends();
}
