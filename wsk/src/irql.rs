//! Interrupt request levels: which functions may wait, and which may touch pageable memory.

use wsk_sys::{APC_LEVEL, KeGetCurrentIrql, PASSIVE_LEVEL};

use crate::Error;

/// Fails unless the current IRQL is `PASSIVE_LEVEL`, where waiting is allowed.
#[inline]
pub(crate) fn require_passive() -> Result<(), Error> {
    at_most(PASSIVE_LEVEL)
}

/// Fails above `APC_LEVEL`, where pageable memory must not be touched.
pub(crate) fn require_apc() -> Result<(), Error> {
    at_most(APC_LEVEL)
}

#[inline]
fn at_most(limit: u8) -> Result<(), Error> {
    // SAFETY: reading the IRQL has no precondition.
    let current = unsafe { KeGetCurrentIrql() };
    if current <= limit {
        Ok(())
    } else {
        Err(Error::WrongIrql { current, limit })
    }
}
