//! Interrupt request levels: which functions may wait, and which may touch pageable memory.

#![forbid(unsafe_code)]

use wsk_sys::{APC_LEVEL, PASSIVE_LEVEL, host_kernel};

use crate::error::Error;
use crate::system;

/// The proof that waiting is allowed: the IRQL was at most `APC_LEVEL` when this was made.
///
/// The kernel waits up to that level
/// ([`KeWaitForSingleObject`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitforsingleobject)), and an IRP
/// comes back in its completion routine, which needs no APC of the thread that waits.
///
/// # Invariants
///
/// It is used by the call that has made it alone. To raise the IRQL is unsafe, and whoever does so lowers it again.
#[derive(Clone, Copy)]
pub struct MayWait(());

/// The proof that the IRQL was `PASSIVE_LEVEL`, which some functions of WSK ask for themselves.
///
/// # Invariants
///
/// As for [`MayWait`].
#[derive(Clone, Copy)]
pub(crate) struct AtPassiveLevel(MayWait);

impl AtPassiveLevel {
    /// Waiting is allowed there too.
    pub(crate) const fn may_wait(self) -> MayWait {
        self.0
    }
}

/// Fails unless the current IRQL is at most `APC_LEVEL`, where waiting is allowed.
#[inline]
pub(crate) fn may_wait() -> Result<MayWait, Error> {
    at_most(APC_LEVEL)?;
    // INVARIANT: the level was just read.
    Ok(MayWait(()))
}

/// Fails unless the current IRQL is `PASSIVE_LEVEL`.
#[inline]
pub(crate) fn at_passive_level() -> Result<AtPassiveLevel, Error> {
    at_most(PASSIVE_LEVEL)?;
    // INVARIANT: the level was just read.
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
