//! Ends an interrupted run properly: the next step does not start, and changes are undone.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on, Ctrl-C ends the run before its next step, instead of ending this program.
///
/// # Errors
///
/// The system cannot report it.
pub fn listen() -> Result<(), String> {
    let noted = || INTERRUPTED.store(true, Ordering::Relaxed);
    ctrlc::set_handler(noted).map_err(|error| format!("Ctrl-C cannot be handled: {error}"))
}

/// Fails if the user has interrupted the run.
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
