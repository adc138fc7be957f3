//! Interrupt request levels: which functions may wait.

use wsk_sys::{KeGetCurrentIrql, PASSIVE_LEVEL};

use crate::Error;

/// Fails unless the current IRQL is `PASSIVE_LEVEL`, where waiting is allowed.
pub(crate) fn require_passive() -> Result<(), Error> {
    // SAFETY: reading the IRQL has no precondition.
    let current = unsafe { KeGetCurrentIrql() };
    if current == PASSIVE_LEVEL {
        Ok(())
    } else {
        Err(Error::WrongIrql { current })
    }
}
