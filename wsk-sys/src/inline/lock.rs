//! Locks whose owners may wait, as far as they are inline. Stands for those functions of `wdm.h`.

use crate::{
    EVENT_TYPE, EX_DEFAULT_PUSH_LOCK_FLAGS, ExAcquirePushLockExclusiveEx,
    ExAcquirePushLockSharedEx, ExReleasePushLockExclusiveEx, ExReleasePushLockSharedEx, FAST_MUTEX,
    FM_LOCK_BIT, KeInitializeEvent,
};

/// Initialises a fast mutex.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializefastmutex).
///
/// # Safety
///
/// `FastMutex` points to aligned, nonpaged memory that may be written, and nobody uses the mutex yet.
#[inline]
pub unsafe fn ExInitializeFastMutex(FastMutex: *mut FAST_MUTEX) {
    // SAFETY: the caller's memory may be written; the event is part of it.
    unsafe {
        (&raw mut (*FastMutex).Count).write(FM_LOCK_BIT as i32);
        (&raw mut (*FastMutex).Owner).write(core::ptr::null_mut());
        (&raw mut (*FastMutex).Contention).write(0);
        KeInitializeEvent(
            &raw mut (*FastMutex).Event,
            EVENT_TYPE::SynchronizationEvent,
            0,
        );
    }
}

/// Takes a push lock together with other readers, waiting for it.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirepushlockshared).
///
/// # Safety
///
/// The lock is initialised and not held by this thread, which is in a critical region and gives it back there.
#[inline]
pub unsafe fn ExAcquirePushLockShared(Lock: *mut usize) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExAcquirePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS) }
}

/// Takes a push lock alone, waiting for it.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirepushlockexclusive).
///
/// # Safety
///
/// The lock is initialised and not held by this thread, which is in a critical region and gives it back there.
#[inline]
pub unsafe fn ExAcquirePushLockExclusive(Lock: *mut usize) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExAcquirePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS) }
}

/// Gives a reader's push lock back.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasepushlockshared).
///
/// # Safety
///
/// This thread has taken the lock as a reader.
#[inline]
pub unsafe fn ExReleasePushLockShared(Lock: *mut usize) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExReleasePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS) }
}

/// Gives a writer's push lock back.
///
/// IRQL: `<= APC_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasepushlockexclusive).
///
/// # Safety
///
/// This thread has taken the lock as a writer.
#[inline]
pub unsafe fn ExReleasePushLockExclusive(Lock: *mut usize) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { ExReleasePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS) }
}
