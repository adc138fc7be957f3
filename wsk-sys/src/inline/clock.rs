//! The system time. Stands for `KeQuerySystemTime` of `wdm.h`, which reads a page that the kernel shares; here it asks the kernel.

use crate::{KeQuerySystemTimePrecise, LARGE_INTEGER};

/// Tells the system time in units of 100 ns since 1601.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequerysystemtime-r1).
///
/// # Safety
///
/// `CurrentTime` may be written.
#[inline]
pub unsafe fn KeQuerySystemTime(CurrentTime: *mut LARGE_INTEGER) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { KeQuerySystemTimePrecise(CurrentTime) }
}
