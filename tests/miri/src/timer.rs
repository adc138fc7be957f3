//! Timers and their DPCs: a thread for each timer that is set. It can be cancelled.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wsk_sys::{KDPC, KTIMER, LARGE_INTEGER, PKDEFERRED_ROUTINE, TIMER_TYPE};

use crate::dispatcher::raised;
use crate::{after, lock};

/// A DPC. Its memory exists as long as its timer is set.
#[derive(Clone, Copy)]
struct Dpc(*mut KDPC);

// SAFETY: one thread at a time uses it, under the lock, or its routine does.
unsafe impl Send for Dpc {}

#[derive(Default)]
struct Timers {
    /// By the address of a timer, the number of its last setting.
    set: HashMap<usize, u64>,
    number: u64,
    running: usize,
    threads: Vec<JoinHandle<()>>,
}

static TIMERS: Mutex<Option<Timers>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

/// `KeInitializeTimerEx`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeInitializeTimerEx(timer: *mut KTIMER, _: TIMER_TYPE) {
    // SAFETY: the caller owns the place.
    unsafe { timer.write_bytes(0, 1) };
}

/// `KeInitializeDpc`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeInitializeDpc(
    dpc: *mut KDPC,
    routine: PKDEFERRED_ROUTINE,
    context: *mut core::ffi::c_void,
) {
    // SAFETY: the caller owns the place.
    unsafe {
        dpc.write_bytes(0, 1);
        (*dpc).DeferredRoutine = routine;
        (*dpc).DeferredContext = context;
    }
}

/// `KeSetTimer`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeSetTimer(timer: *mut KTIMER, due: LARGE_INTEGER, dpc: *mut KDPC) -> u8 {
    // SAFETY: it is one number. The caller owns the timer, in which this is stored.
    let time = unsafe {
        (*timer).Dpc = dpc;
        Duration::from_nanos(due.QuadPart.unsigned_abs() * 100)
    };
    let limit = after(time).expect("a time that passes");
    let mut timers = lock(&TIMERS);
    let timers = timers.get_or_insert_default();
    timers.number += 1;
    let (number, address, dpc) = (timers.number, timer.addr(), Dpc(dpc));
    let before = timers.set.insert(address, number);
    CHANGED.notify_all();
    timers.threads.push(std::thread::spawn(move || {
        let dpc = dpc;
        expire(address, number, limit, dpc);
    }));
    before.is_some().into()
}

/// Waits for the time of a timer, and runs its DPC, unless the timer is cancelled or set again.
fn expire(timer: usize, number: u64, limit: Instant, dpc: Dpc) {
    let mut timers = lock(&TIMERS);
    loop {
        let is_set = |timers: &mut Timers| timers.set.get(&timer) == Some(&number);
        if !timers.as_mut().is_some_and(is_set) {
            return;
        }
        let left = limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        timers = CHANGED
            .wait_timeout(timers, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    if let Some(timers) = timers.as_mut() {
        timers.set.remove(&timer);
        timers.running += 1;
    }
    drop(timers);
    // SAFETY: a DPC that is about to run exists until somebody has waited for it.
    unsafe {
        let (routine, context) = ((*dpc.0).DeferredRoutine, (*dpc.0).DeferredContext);
        let null = core::ptr::null_mut();
        raised(|| routine.expect("a routine")(dpc.0, context, null, null));
    }
    if let Some(timers) = lock(&TIMERS).as_mut() {
        timers.running -= 1;
    }
    CHANGED.notify_all();
}

/// `KeCancelTimer`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeCancelTimer(timer: *mut KTIMER) -> u8 {
    let mut timers = lock(&TIMERS);
    let before = timers.get_or_insert_default().set.remove(&timer.addr());
    CHANGED.notify_all();
    before.is_some().into()
}

#[unsafe(no_mangle)]
extern "system" fn KeFlushQueuedDpcs() {
    let mut timers = lock(&TIMERS);
    while timers.as_ref().is_some_and(|timers| timers.running > 0) {
        timers = CHANGED.wait(timers).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Waits for the threads of timers. No timer may be set.
pub(crate) fn shutdown() {
    let Some(timers) = lock(&TIMERS).take() else {
        return;
    };
    assert!(timers.set.is_empty(), "timers are set");
    for thread in timers.threads {
        thread.join().expect("no DPC has failed");
    }
}
