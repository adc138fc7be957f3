//! Interrupt request levels: which functions may wait, and which may touch pageable memory.

use wsk_sys::{APC_LEVEL, KeGetCurrentIrql, PASSIVE_LEVEL};

use crate::Error;

/// The proof that waiting is allowed: the IRQL was `PASSIVE_LEVEL` when this was made.
///
/// # Invariants
///
/// It is used by the call that has made it alone. To raise the IRQL is unsafe, and whoever does so lowers it again.
#[derive(Clone, Copy)]
pub struct MayWait(());

/// Fails unless the current IRQL is `PASSIVE_LEVEL`, where waiting is allowed.
#[inline]
pub(crate) fn may_wait() -> Result<MayWait, Error> {
    at_most(PASSIVE_LEVEL)?;
    // INVARIANT: the level was just read.
    Ok(MayWait(()))
}

/// Fails above `APC_LEVEL`, where pageable memory must not be touched.
pub(crate) fn may_touch_pageable() -> Result<(), Error> {
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
