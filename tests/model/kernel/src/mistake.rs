//! Which deliberate mistake the code makes. It is asked at the places where the build has put one.

use std::cell::Cell;

thread_local! {
    static MADE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Has this mistake be made from now on, by this thread and what it explores.
pub fn make(mistake: Option<&'static str>) {
    MADE.set(mistake);
}

/// Whether this mistake is made.
#[must_use]
pub fn is_made(mistake: &str) -> bool {
    MADE.get() == Some(mistake)
}

/// Lets others run where the code of a mistake has to give them an occasion.
pub fn pause() {
    loom::thread::yield_now();
}
