//! What the user interrupts ends in good order: the next step is not begun, and what was changed is undone.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on, Ctrl-C ends what goes on at its next step, instead of this program.
///
/// # Errors
///
/// The system does not tell of it.
pub fn listen() -> Result<(), String> {
    let noted = || INTERRUPTED.store(true, Ordering::Relaxed);
    ctrlc::set_handler(noted).map_err(|error| format!("Ctrl-C is not told: {error}"))
}

/// Whether to go on.
///
/// # Errors
///
/// The user has interrupted.
pub fn check() -> Result<(), String> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        Err("interrupted".to_owned())
    } else {
        Ok(())
    }
}
