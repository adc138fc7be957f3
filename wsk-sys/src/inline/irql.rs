//! The interrupt request level, and those functions for spin locks of `wdm.h` that are inline. On x64 the level is the control
//! register CR8, and the kernel exports no function for it. On arm64 the kernel exports them, with another name for the one that
//! lowers the level. A program that unwinds is not a driver, and gets all of them from the host kernel.

use crate::KeAcquireSpinLockRaiseToDpc;
#[cfg(not(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind")))))]
use crate::KfRaiseIrql;

/// Tells the interrupt request level of the current processor.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentirql).
///
/// # Safety
///
/// The caller is kernel code.
#[cfg(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind"))))]
#[inline]
#[must_use]
pub unsafe fn KeGetCurrentIrql() -> u8 {
    let level: u64;
    // SAFETY: kernel code may read CR8, which changes nothing. The compiler takes it for an access to memory, so nothing
    // moves across it.
    unsafe { core::arch::asm!("mov {}, cr8", out(reg) level, options(nostack, preserves_flags)) };
    level as u8
}

/// Raises the interrupt request level and gives the earlier one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirql).
///
/// # Safety
///
/// The caller is kernel code at or below `NewIrql`, a level of 0 to 15, and lowers to the earlier level with `KeLowerIrql`.
#[cfg(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind"))))]
#[inline]
#[must_use = "the earlier level is what `KeLowerIrql` needs"]
pub unsafe fn KfRaiseIrql(NewIrql: u8) -> u8 {
    // SAFETY: the caller is kernel code, and the level is one that CR8 can hold.
    unsafe {
        let earlier = KeGetCurrentIrql();
        write_cr8(NewIrql);
        earlier
    }
}

/// Lowers the interrupt request level to an earlier one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kelowerirql).
///
/// # Safety
///
/// The caller is kernel code. `NewIrql` is the level that the matching raise returned.
#[cfg(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind"))))]
#[inline]
pub unsafe fn KeLowerIrql(NewIrql: u8) {
    // SAFETY: the caller is kernel code, and the level is one that CR8 has held before.
    unsafe { write_cr8(NewIrql) }
}

/// Lowers the interrupt request level to an earlier one: the kernel's `KfLowerIrql`.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kelowerirql).
///
/// # Safety
///
/// The caller is kernel code. `NewIrql` is the level that the matching raise returned.
#[cfg(target_arch = "aarch64")]
#[inline]
pub unsafe fn KeLowerIrql(NewIrql: u8) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { crate::KfLowerIrql(NewIrql) }
}

/// Writes the interrupt request level.
///
/// # Safety
///
/// The caller is kernel code, and `level` is at most 15: more raises an exception.
#[cfg(all(windows, target_arch = "x86_64", any(docsrs, not(panic = "unwind"))))]
#[inline]
unsafe fn write_cr8(level: u8) {
    // SAFETY: the caller is kernel code, and the level is one that CR8 can hold. The compiler takes it for an access to memory, so
    // nothing that must run at one level moves to the other.
    unsafe {
        core::arch::asm!("mov cr8, {}", in(reg) u64::from(level), options(nostack, preserves_flags));
    }
}

/// Raises the interrupt request level and stores the earlier one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirql).
///
/// # Safety
///
/// The caller is kernel code at or below `NewIrql`, and lowers to the earlier level with `KeLowerIrql`. `OldIrql` points to
/// a byte that may be written.
#[inline]
pub unsafe fn KeRaiseIrql(NewIrql: u8, OldIrql: *mut u8) {
    // SAFETY: the caller may raise to the level, and `OldIrql` may be written.
    unsafe { OldIrql.write(KfRaiseIrql(NewIrql)) }
}

/// Initialises a spin lock.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializespinlock).
///
/// # Safety
///
/// `SpinLock` points to aligned memory that may be written, and nobody uses the lock yet.
#[inline]
pub unsafe fn KeInitializeSpinLock(SpinLock: *mut usize) {
    // SAFETY: the caller's pointer may be written, and nobody else reads it meanwhile.
    unsafe { SpinLock.write_volatile(0) }
}

/// Raises to `DISPATCH_LEVEL`, takes a spin lock and stores the earlier level.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquirespinlock).
///
/// # Safety
///
/// `SpinLock` points to an initialised lock that the caller doesn't hold and will release with `KeReleaseSpinLock` and the
/// stored level. `OldIrql` points to a byte that may be written.
#[inline]
pub unsafe fn KeAcquireSpinLock(SpinLock: *mut usize, OldIrql: *mut u8) {
    // SAFETY: the caller's promise is that of the imported function, and `OldIrql` may be written.
    unsafe { OldIrql.write(KeAcquireSpinLockRaiseToDpc(SpinLock)) }
}
