//! Interrupt request levels: which functions may wait, and which may touch pageable memory.

#![forbid(unsafe_code)]

use wsk_sys::{APC_LEVEL, PASSIVE_LEVEL, host_kernel};

use crate::error::Error;
use crate::system;

/// The proof that waiting is allowed: the IRQL was at most `APC_LEVEL` when this was made.
///
/// The kernel waits up to that level
/// ([`KeWaitForSingleObject`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitforsingleobject)). A
/// completion routine ends the wait for an IRP, so that the waiting thread need not run APCs.
///
/// # Invariants
///
/// Only the call that has made the proof uses it. Raising the IRQL is unsafe, and code that raises it also lowers it again.
#[derive(Clone, Copy)]
pub struct MayWait(());

/// The proof that the IRQL was `PASSIVE_LEVEL`. Some functions of WSK require that level.
///
/// # Invariants
///
/// As for [`MayWait`].
#[derive(Clone, Copy)]
pub(crate) struct AtPassiveLevel(MayWait);

impl AtPassiveLevel {
    /// Waiting is allowed at this level, too.
    pub(crate) const fn may_wait(self) -> MayWait {
        self.0
    }
}

/// Fails unless the current IRQL is at most `APC_LEVEL`, where waiting is allowed.
#[inline]
pub(crate) fn may_wait() -> Result<MayWait, Error> {
    at_most(APC_LEVEL)?;
    // INVARIANT: `at_most` has just checked the level.
    Ok(MayWait(()))
}

/// Fails unless the current IRQL is `PASSIVE_LEVEL`.
#[inline]
pub(crate) fn at_passive_level() -> Result<AtPassiveLevel, Error> {
    at_most(PASSIVE_LEVEL)?;
    // INVARIANT: `at_most` has just checked the level.
    Ok(AtPassiveLevel(MayWait(())))
}

/// Fails above `APC_LEVEL`, where pageable memory must not be touched.
pub(crate) fn may_touch_pageable() -> Result<(), Error> {
    at_most(APC_LEVEL)
}

#[inline]
fn at_most(limit: u8) -> Result<(), Error> {
    host_kernel();
    let current = system::irql();
    if current <= limit {
        Ok(())
    } else {
        Err(Error::WrongIrql { current, limit })
    }
}
