//! What the kernel tells whoever asks, under no condition but that the caller is kernel code, as this crate is: the IRQL, and the time
//! since the system started.

use wsk_sys::{KeGetCurrentIrql, KeQueryInterruptTime};

/// The current IRQL. IRQL: any.
#[inline]
pub(crate) fn irql() -> u8 {
    // SAFETY: reading the IRQL has no precondition.
    unsafe { KeGetCurrentIrql() }
}

/// The time since the system started, in units of 100 nanoseconds. IRQL: any.
#[inline]
pub(crate) fn interrupt_time() -> u64 {
    // SAFETY: may be called at any IRQL.
    unsafe { KeQueryInterruptTime() }
}
