//! Timers and their DPCs: a thread for each timer that is set, which can be cancelled.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wsk_sys::{KDPC, KTIMER, LARGE_INTEGER, PKDEFERRED_ROUTINE, TIMER_TYPE};

use crate::dispatcher::raised;
use crate::{after, lock};

/// A DPC, whose memory is there as long as its timer is set.
#[derive(Clone, Copy)]
struct Dpc(*mut KDPC);

// SAFETY: it is used by one thread at a time, with the lock held, or by its routine.
unsafe impl Send for Dpc {}

#[derive(Default)]
struct Timers {
    /// By the addresses of timers: which of the times that it was set counts.
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
/// That of the function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeInitializeTimerEx(timer: *mut KTIMER, _: TIMER_TYPE) {
    // SAFETY: the caller has the place.
    unsafe { timer.write_bytes(0, 1) };
}

/// `KeInitializeDpc`.
///
/// # Safety
///
/// That of the function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeInitializeDpc(
    dpc: *mut KDPC,
    routine: PKDEFERRED_ROUTINE,
    context: *mut core::ffi::c_void,
) {
    // SAFETY: the caller has the place.
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
/// That of the function.
#[unsafe(no_mangle)]
unsafe extern "system" fn KeSetTimer(timer: *mut KTIMER, due: LARGE_INTEGER, dpc: *mut KDPC) -> u8 {
    // SAFETY: it is one number. The caller has the timer, whose place is noted there.
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

/// Waits for the time of a timer, unless it is cancelled or set anew, and runs its DPC.
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
    // SAFETY: a DPC on its way is there until it was waited for.
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
/// That of the function.
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

/// Waits for the threads of timers, none of which is set.
pub(crate) fn shutdown() {
    let Some(timers) = lock(&TIMERS).take() else {
        return;
    };
    assert!(timers.set.is_empty(), "timers are set");
    for thread in timers.threads {
        thread.join().expect("no DPC has failed");
    }
}
