//! Interrupt request levels: which functions may wait, and which may touch pageable memory.

#![forbid(unsafe_code)]

use wsk_sys::{APC_LEVEL, PASSIVE_LEVEL, host_kernel};

use crate::error::Error;
pub(crate) use crate::system::MayWait;

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
    at_most(APC_LEVEL)
}

/// Fails unless the current IRQL is `PASSIVE_LEVEL`.
#[inline]
pub(crate) fn at_passive_level() -> Result<AtPassiveLevel, Error> {
    // INVARIANT: the level was just checked.
    at_most(PASSIVE_LEVEL).map(AtPassiveLevel)
}

/// Fails above `APC_LEVEL`, where pageable memory must not be touched.
pub(crate) fn may_touch_pageable() -> Result<(), Error> {
    at_most(APC_LEVEL).map(|_| ())
}

#[inline]
fn at_most(limit: u8) -> Result<MayWait, Error> {
    host_kernel();
    MayWait::at_most(limit).map_err(|current| Error::WrongIrql { current, limit })
}
