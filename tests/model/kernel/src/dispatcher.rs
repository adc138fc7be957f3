//! Events, and a model of time: a wait with a limit may end at any moment, except a wait that gives a provider a long time.

use core::ffi::c_void;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::{Condvar, Mutex};
use real::{
    EVENT_TYPE, KDPC, KEVENT, KPROCESSOR_MODE, KTIMER, KWAIT_BLOCK, KWAIT_REASON, LARGE_INTEGER,
    NTSTATUS, OSVERSIONINFOW, PKDEFERRED_ROUTINE, STATUS_SUCCESS, STATUS_TIMEOUT, TIMER_TYPE,
    WAIT_TYPE,
};

use crate::memory::touch;

/// An event that a thread can wait for.
#[derive(Debug)]
pub struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
    /// Whether the first wait that it ends clears it.
    synchronisation: bool,
}

impl Signal {
    /// An event that is not set.
    #[must_use]
    pub fn new(synchronisation: bool) -> Self {
        Self {
            set: Mutex::new(false),
            changed: Condvar::new(),
            synchronisation,
        }
    }

    /// Sets it.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn set(&self) {
        *self.set.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Waits until it is set, or only checks.
    ///
    /// # Panics
    ///
    /// Never: no thread panics with the lock.
    pub fn wait(&self, looks: bool) -> bool {
        let mut set = self.set.lock().unwrap();
        while !*set {
            if looks {
                return false;
            }
            set = self.changed.wait(set).unwrap();
        }
        if self.synchronisation {
            *set = false;
        }
        true
    }
}

thread_local! {
    static EVENTS: RefCell<HashMap<usize, Rc<Signal>>> = RefCell::default();
    static IMPATIENT: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn begin() {
    EVENTS.take();
    IMPATIENT.set(false);
}

/// Lets the long waits end at any moment, too: the provider then has a long time and does not use it.
pub fn be_impatient() {
    IMPATIENT.set(true);
}

/// Whether the provider refuses requests.
pub(crate) fn is_impatient() -> bool {
    IMPATIENT.get()
}

fn event(place: *mut KEVENT) -> Rc<Signal> {
    touch(place.addr());
    EVENTS.with_borrow(|events| events[&place.addr()].clone())
}

/// `KeInitializeEvent`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeInitializeEvent(place: *mut KEVENT, kind: EVENT_TYPE, _: u8) {
    touch(place.addr());
    let signal = Signal::new(kind == EVENT_TYPE::SynchronizationEvent);
    EVENTS.with_borrow_mut(|events| events.insert(place.addr(), Rc::new(signal)));
}

/// `KeSetEvent`. It uses the memory of the event before it sets the event, and not afterwards.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeSetEvent(place: *mut KEVENT, _: i32, _: u8) -> i32 {
    event(place).set();
    0
}

/// `KeClearEvent`.
///
/// # Panics
///
/// Never: no thread panics with the lock.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeClearEvent(place: *mut KEVENT) {
    *event(place).set.lock().unwrap() = false;
}

/// Two seconds, as an interval.
const LONG: i64 = -20_000_000;

/// `KeWaitForSingleObject`, for an event.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeWaitForSingleObject(
    object: *mut c_void,
    _: KWAIT_REASON,
    _: KPROCESSOR_MODE,
    _: u8,
    timeout: *mut LARGE_INTEGER,
) -> NTSTATUS {
    // SAFETY: the caller passes a time or null; it is one number.
    let limit = unsafe { timeout.as_ref().map(|limit| limit.QuadPart) };
    let looks = limit.is_some_and(|limit| limit > LONG || IMPATIENT.get());
    if event(object.cast()).wait(looks) {
        STATUS_SUCCESS
    } else {
        // A thread that polls lets the others run.
        loom::thread::yield_now();
        STATUS_TIMEOUT
    }
}

/// `KeWaitForMultipleObjects`, for one of some events.
///
/// # Safety
///
/// The contract of the kernel's function.
#[allow(clippy::too_many_arguments)]
pub unsafe fn KeWaitForMultipleObjects(
    count: u32,
    objects: *mut *mut c_void,
    _: WAIT_TYPE,
    _: KWAIT_REASON,
    _: KPROCESSOR_MODE,
    _: u8,
    timeout: *mut LARGE_INTEGER,
    _: *mut KWAIT_BLOCK,
) -> NTSTATUS {
    // SAFETY: the caller passes as many events.
    let objects = unsafe { core::slice::from_raw_parts(objects, count as usize) };
    loop {
        for (number, object) in (0..).zip(objects) {
            if event(object.cast()).wait(true) {
                return NTSTATUS(number);
            }
        }
        // A thread that polls lets the others run.
        loom::thread::yield_now();
        if !timeout.is_null() {
            return STATUS_TIMEOUT;
        }
    }
}

/// `KeDelayExecutionThread`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeDelayExecutionThread(_: KPROCESSOR_MODE, _: u8, _: *mut LARGE_INTEGER) -> NTSTATUS {
    loom::thread::yield_now();
    STATUS_SUCCESS
}

/// `KeGetCurrentIrql`: `PASSIVE_LEVEL`.
///
/// # Safety
///
/// There is no requirement.
#[must_use]
pub unsafe fn KeGetCurrentIrql() -> u8 {
    0
}

/// `KeQueryInterruptTime`: the system has just started.
///
/// # Safety
///
/// There is no requirement.
#[must_use]
pub unsafe fn KeQueryInterruptTime() -> u64 {
    0
}

/// `KeAcquireSpinLock`. While the lock is held, nothing happens that loom knows of, so no other thread of the same exploration
/// runs. Threads of other explorations do.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeAcquireSpinLock(lock: *mut usize, irql: *mut u8) {
    // SAFETY: the caller passes both; only these functions use the lock, as an atomic.
    unsafe {
        while AtomicUsize::from_ptr(lock).swap(1, Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
        irql.write(0);
    }
}

/// `KeReleaseSpinLock`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeReleaseSpinLock(lock: *mut usize, _: u8) {
    // SAFETY: the caller holds the lock.
    unsafe { AtomicUsize::from_ptr(lock) }.store(0, Ordering::Release);
}

/// `KeInitializeTimerEx`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeInitializeTimerEx(_: *mut KTIMER, _: TIMER_TYPE) {}

/// `KeInitializeDpc`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeInitializeDpc(_: *mut KDPC, _: PKDEFERRED_ROUTINE, _: *mut c_void) {}

/// `KeSetTimer`: it does not expire.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeSetTimer(_: *mut KTIMER, _: LARGE_INTEGER, _: *mut KDPC) -> u8 {
    0
}

/// `KeCancelTimer`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeCancelTimer(_: *mut KTIMER) -> u8 {
    0
}

/// `KeFlushQueuedDpcs`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn KeFlushQueuedDpcs() {}

/// `RtlGetVersion`: Windows 11.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn RtlGetVersion(version: *mut OSVERSIONINFOW) -> NTSTATUS {
    // SAFETY: the caller owns the place.
    unsafe { (*version).dwBuildNumber = 22_621 };
    STATUS_SUCCESS
}

/// Does nothing. `wsk` calls it so that the linker reports this name if no kernel is linked.
#[unsafe(no_mangle)]
extern "C" fn wsk_host_is_missing__a_test_needs_it_in_dev_dependencies_and_use_wsk_host_as_underscore__a_driver_needs_panic_abort()
 {
}
