//! IRQL, events, spin locks and time.

use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wsk_sys::{
    DISPATCH_LEVEL, EVENT_TYPE, KEVENT, KPROCESSOR_MODE, KWAIT_BLOCK, KWAIT_REASON, LARGE_INTEGER,
    NTSTATUS, OSVERSIONINFOW, PASSIVE_LEVEL, STATUS_SUCCESS, STATUS_TIMEOUT, WAIT_TYPE,
};

use crate::{SPEED, after, lock};

thread_local! {
    static IRQL: Cell<u8> = const { Cell::new(PASSIVE_LEVEL) };
}

/// The lock under which all events are changed.
static DISPATCHER: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

/// Runs a function at `DISPATCH_LEVEL`.
pub fn raised<R>(run: impl FnOnce() -> R) -> R {
    let before = IRQL.replace(DISPATCH_LEVEL);
    let result = run();
    IRQL.set(before);
    result
}

#[unsafe(no_mangle)]
extern "system" fn KeGetCurrentIrql() -> u8 {
    IRQL.get()
}

/// `KeInitializeEvent`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeInitializeEvent(event: *mut KEVENT, kind: EVENT_TYPE, state: u8) {
    // SAFETY: the caller owns the place.
    unsafe {
        event.write_bytes(0, 1);
        (*event).Header.Anonymous1.Anonymous1.Type =
            u8::from(kind == EVENT_TYPE::SynchronizationEvent);
        (*event).Header.SignalState = state.into();
    }
}

/// `KeSetEvent`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeSetEvent(event: *mut KEVENT, _: i32, _: u8) -> i32 {
    let _dispatcher = lock(&DISPATCHER);
    // SAFETY: the event exists until it is set, and is changed only under the lock.
    let before = unsafe { core::mem::replace(&mut (*event).Header.SignalState, 1) };
    CHANGED.notify_all();
    before
}

/// `KeClearEvent`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeClearEvent(event: *mut KEVENT) {
    let _dispatcher = lock(&DISPATCHER);
    // SAFETY: the caller owns the event, which is changed only under the lock.
    unsafe { (*event).Header.SignalState = 0 };
}

/// The end of an interval, if there is one.
///
/// # Safety
///
/// It is null, or points at a time.
unsafe fn limit(interval: *const LARGE_INTEGER) -> Option<Instant> {
    // SAFETY: the caller promises this; it is one number.
    let units = unsafe { interval.as_ref().map(|interval| interval.QuadPart) }?;
    let nanoseconds = units.unsigned_abs().saturating_mul(100);
    // A time too far in the future never comes.
    after(Duration::from_nanos(nanoseconds))
}

/// `KeWaitForSingleObject`, for an event.
///
/// # Safety
///
/// SAFETY: the caller keeps the same contract.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeWaitForSingleObject(
    object: *mut c_void,
    _: KWAIT_REASON,
    _: KPROCESSOR_MODE,
    _: u8,
    timeout: *mut LARGE_INTEGER,
) -> NTSTATUS {
    assert!(IRQL.get() < DISPATCH_LEVEL, "waiting at DISPATCH_LEVEL");
    // SAFETY: the caller keeps the same contract.
    unsafe { wait_for_any(&[object], timeout) }
}

/// `KeWaitForMultipleObjects`, for one of some events.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeWaitForMultipleObjects(
    count: u32,
    objects: *mut *mut c_void,
    kind: WAIT_TYPE,
    _: KWAIT_REASON,
    _: KPROCESSOR_MODE,
    _: u8,
    timeout: *mut LARGE_INTEGER,
    _: *mut KWAIT_BLOCK,
) -> NTSTATUS {
    assert!(IRQL.get() < DISPATCH_LEVEL, "waiting at DISPATCH_LEVEL");
    assert_eq!(kind, WAIT_TYPE::WaitAny);
    // SAFETY: the caller passes as many events, and a time or null.
    unsafe {
        let objects = core::slice::from_raw_parts(objects, count as usize);
        wait_for_any(objects, timeout)
    }
}

/// Waits for events. Returns the number of the event that ends the wait, or `STATUS_TIMEOUT`.
///
/// # Safety
///
/// The events exist until the wait is over; the time exists, or is null.
unsafe fn wait_for_any(objects: &[*mut c_void], timeout: *const LARGE_INTEGER) -> NTSTATUS {
    // SAFETY: the caller passes a time or null.
    let limit = unsafe { limit(timeout) };
    let mut dispatcher = lock(&DISPATCHER);
    loop {
        for (number, object) in (0..).zip(objects) {
            let event = object.cast::<KEVENT>();
            // SAFETY: the caller owns the event, which is changed only under the lock.
            unsafe {
                if (*event).Header.SignalState != 0 {
                    if (*event).Header.Anonymous1.Anonymous1.Type != 0 {
                        (*event).Header.SignalState = 0;
                    }
                    return NTSTATUS(number);
                }
            }
        }
        dispatcher = match limit {
            None => CHANGED
                .wait(dispatcher)
                .unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let left = limit.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return STATUS_TIMEOUT;
                }
                CHANGED
                    .wait_timeout(dispatcher, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
    }
}

/// `KeDelayExecutionThread`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeDelayExecutionThread(
    _: KPROCESSOR_MODE,
    _: u8,
    interval: *mut LARGE_INTEGER,
) -> NTSTATUS {
    assert!(IRQL.get() < DISPATCH_LEVEL, "waiting at DISPATCH_LEVEL");
    // SAFETY: the caller passes a time.
    if let Some(limit) = unsafe { limit(interval) } {
        std::thread::sleep(limit.saturating_duration_since(Instant::now()));
    }
    STATUS_SUCCESS
}

/// `KeAcquireSpinLockRaiseToDpc`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeAcquireSpinLockRaiseToDpc(spin_lock: *mut usize) -> u8 {
    let before = IRQL.replace(DISPATCH_LEVEL);
    // SAFETY: only these functions use the lock, as an atomic.
    let word = unsafe { AtomicUsize::from_ptr(spin_lock) };
    while word.swap(1, Ordering::Acquire) != 0 {
        std::thread::yield_now();
    }
    before
}

/// `KeReleaseSpinLock`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeReleaseSpinLock(spin_lock: *mut usize, irql: u8) {
    // SAFETY: as for acquiring it.
    unsafe { AtomicUsize::from_ptr(spin_lock) }.store(0, Ordering::Release);
    IRQL.set(irql);
}

#[unsafe(no_mangle)]
extern "system" fn KeQueryUnbiasedInterruptTime() -> u64 {
    static START: Mutex<Option<Instant>> = Mutex::new(None);
    let start = *lock(&START).get_or_insert_with(Instant::now);
    u64::try_from((start.elapsed() * SPEED).as_nanos() / 100).unwrap_or(u64::MAX)
}

/// `RtlGetVersion`: Windows 11, whose tables have every entry.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn RtlGetVersion(version: *mut OSVERSIONINFOW) -> NTSTATUS {
    // SAFETY: the caller has the place.
    unsafe {
        (*version).dwMajorVersion = 10;
        (*version).dwBuildNumber = 22_621;
    }
    STATUS_SUCCESS
}

/// Does nothing. `wsk` calls it so that the linker reports this name if no kernel is linked.
#[unsafe(no_mangle)]
extern "C" fn wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort()
 {
}
