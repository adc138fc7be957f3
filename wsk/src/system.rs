//! Functions of the kernel that any kernel code may call at any time: the current IRQL, and the time since the system started.

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
