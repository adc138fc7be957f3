//! The system time, and the time since the system started. Stands for `KeQuerySystemTime` and `KeQueryInterruptTime` of `wdm.h`, which
//! read a page that the kernel shares. The first asks the kernel here.

#[cfg(not(all(windows, any(docsrs, not(panic = "unwind")))))]
use crate::KeQueryUnbiasedInterruptTime;
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

/// The address of the interrupt time, in the page that the kernel shares with every process. It is the same on x64 and on arm64.
#[cfg(all(windows, any(docsrs, not(panic = "unwind"))))]
const INTERRUPT_TIME: usize = 0xFFFF_F780_0000_0008;

/// Returns the time since the system started in units of 100 ns, as of the last tick of the clock. A program that unwinds is not
/// a driver, and gets the time from the host kernel.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequeryinterrupttime).
///
/// # Safety
///
/// The caller is kernel code.
#[inline]
#[must_use]
pub unsafe fn KeQueryInterruptTime() -> u64 {
    #[cfg(all(windows, any(docsrs, not(panic = "unwind"))))]
    {
        let time: *const u64 = core::ptr::with_exposed_provenance(INTERRUPT_TIME);
        // SAFETY: every kernel maps the page for reading, and writes the time in one piece.
        unsafe { time.read_volatile() }
    }
    #[cfg(not(all(windows, any(docsrs, not(panic = "unwind")))))]
    // SAFETY: there is no precondition.
    unsafe {
        KeQueryUnbiasedInterruptTime()
    }
}
