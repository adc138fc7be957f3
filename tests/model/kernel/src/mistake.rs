//! The deliberate mistake that the code makes. The places that the build has changed ask for it.

use std::cell::Cell;

thread_local! {
    static MADE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// From now on, this thread and its explorations make this mistake.
pub fn make(mistake: Option<&'static str>) {
    MADE.set(mistake);
}

/// Whether this mistake is to be made.
#[must_use]
pub fn is_made(mistake: &str) -> bool {
    MADE.get() == Some(mistake)
}

/// Lets other threads run, where the code of a mistake must give them an opportunity.
pub fn pause() {
    loom::thread::yield_now();
}
