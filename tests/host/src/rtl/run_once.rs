//! Initialisation that runs once. Stands for `RtlRunOnceExecuteOnce` and its kin.
//!
//! The word is that of NT: the low two bits hold the state of the initialisation, the rest holds its result.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use wsk_sys::{
    NTSTATUS, PRTL_RUN_ONCE_INIT_FN, RTL_RUN_ONCE, RTL_RUN_ONCE_ASYNC, RTL_RUN_ONCE_CHECK_ONLY,
    RTL_RUN_ONCE_INIT_FAILED, STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_COLLISION,
    STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};

use crate::bugcheck::{bugcheck, violation};
use crate::origin::{self, Origin};
use crate::table::Table;
use crate::waits::Polling;

const NEW: usize = 0;
const RUNS: usize = 1;
const DONE: usize = 2;
/// Several threads may run the initialisation.
const RUNS_ASYNC: usize = 3;
const STATE: usize = 3;

/// The threads that run an initialisation while others wait for it.
static RUNNING: Table<(u32, Origin)> = Table::new();

/// The driver's word.
///
/// # Safety
///
/// `once` is valid for the time of the reference, and used for this only.
unsafe fn word<'o>(once: *mut RTL_RUN_ONCE) -> &'o AtomicPtr<c_void> {
    // SAFETY: the caller says so; the structure is one pointer.
    unsafe { AtomicPtr::from_ptr(once.cast()) }
}

fn state(word: *mut c_void) -> usize {
    word.addr() & STATE
}

/// Begins an initialisation, or waits for the thread that has begun it. Returns its result, or `None` when this thread has to carry
/// it out.
fn begin(
    function: &'static str,
    once: *mut RTL_RUN_ONCE,
    word: &AtomicPtr<c_void>,
) -> Option<*mut c_void> {
    let mut polling = Polling::new(function, once as usize);
    loop {
        let seen = word.load(Ordering::Acquire);
        match state(seen) {
            DONE => return Some(seen.map_addr(|address| address & !STATE)),
            NEW => {
                let mine = ptr::without_provenance_mut(RUNS);
                if word
                    .compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
                {
                    let me = (origin::thread_number(), Origin::here(function));
                    let _ = RUNNING.lock(once as usize).insert(once as usize, me);
                    return None;
                }
            }
            _ => {
                if let Some((thread, origin)) = RUNNING.lock(once as usize).get(once as usize)
                    && *thread == origin::thread_number()
                {
                    bugcheck!(
                        DRIVER_VERIFIER_DETECTED_VIOLATION(
                            violation::SELF_DEADLOCK,
                            once as usize,
                            0,
                            0
                        ),
                        [format!("begun by {origin}")],
                        "{function} was called from within the initialisation that it would wait for"
                    )
                }
                polling.pause(true, || {
                    let mut running = RUNNING.lock(once as usize);
                    running
                        .get(once as usize)
                        .map_or(String::new(), |(_, origin)| format!("begun by {origin}"))
                });
            }
        }
    }
}

/// Ends an initialisation. `made` is its result, or `None` if it has failed.
fn end(
    function: &str,
    once: *mut RTL_RUN_ONCE,
    word: &AtomicPtr<c_void>,
    made: Option<*mut c_void>,
) {
    let new = match made {
        Some(made) if state(made) != 0 => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::OTHER_CONTRACT,
                once as usize,
                made as usize,
                0
            ),
            [],
            "{function} was given {made:p} as what the initialisation has made: its low two bits have to be zero"
        ),
        Some(made) => made.map_addr(|address| address | DONE),
        None => ptr::null_mut(),
    };
    let _ = RUNNING.lock(once as usize).remove(once as usize);
    word.store(new, Ordering::Release);
}

/// Writes the result, if the driver wants it.
///
/// # Safety
///
/// `context` is writable, or null.
unsafe fn give(context: *mut *mut c_void, made: *mut c_void) {
    if !context.is_null() {
        // SAFETY: the caller says so.
        unsafe { context.write(made) };
    }
}

export! {
    /// Initialises the word of an initialisation that has not run.
    fn RtlRunOnceInitialize(RunOnce: *mut RTL_RUN_ONCE), at most APC_LEVEL {
        // SAFETY: the driver gives the memory.
        unsafe { word(RunOnce) }.store(ptr::null_mut(), Ordering::Release);
    }
}

export! {
    /// Runs an initialisation, unless it has succeeded already.
    fn RtlRunOnceExecuteOnce(
        RunOnce: *mut RTL_RUN_ONCE,
        InitFn: PRTL_RUN_ONCE_INIT_FN,
        Parameter: *mut c_void,
        Context: *mut *mut c_void,
    ) -> NTSTATUS, at most APC_LEVEL {
        let function = "RtlRunOnceExecuteOnce";
        // SAFETY: the driver gives its structure.
        let word = unsafe { word(RunOnce) };
        if let Some(made) = begin(function, RunOnce, word) {
            // SAFETY: the driver gives the place, or NULL.
            unsafe { give(Context, made) };
            return STATUS_SUCCESS;
        }
        let mut made: *mut c_void = ptr::null_mut();
        // SAFETY: the driver's function with the driver's parameter, once.
        let succeeded = InitFn.is_some_and(|run| unsafe { run(RunOnce, Parameter, &raw mut made) } != 0);
        if !succeeded {
            end(function, RunOnce, word, None);
            return STATUS_UNSUCCESSFUL;
        }
        end(function, RunOnce, word, Some(made));
        // SAFETY: the driver gives the place, or NULL.
        unsafe { give(Context, made) };
        STATUS_SUCCESS
    }
}

export! {
    /// Begins an initialisation. If this returns `STATUS_PENDING`, the caller has to carry it out.
    fn RtlRunOnceBeginInitialize(
        RunOnce: *mut RTL_RUN_ONCE,
        Flags: u32,
        Context: *mut *mut c_void,
    ) -> NTSTATUS, at most APC_LEVEL {
        let (check, several) = (RTL_RUN_ONCE_CHECK_ONLY as u32, RTL_RUN_ONCE_ASYNC as u32);
        if Flags & !(check | several) != 0 || Flags == check | several {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the driver gives its structure.
        let word = unsafe { word(RunOnce) };
        let seen = word.load(Ordering::Acquire);
        if state(seen) == DONE {
            // SAFETY: the driver gives the place, or NULL.
            unsafe { give(Context, seen.map_addr(|address| address & !STATE)) };
            return STATUS_SUCCESS;
        }
        if Flags & check != 0 {
            return STATUS_UNSUCCESSFUL;
        }
        if Flags & several != 0 {
            return match word.compare_exchange(
                ptr::null_mut(),
                ptr::without_provenance_mut(RUNS_ASYNC),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => STATUS_PENDING,
                Err(seen) if state(seen) == RUNS_ASYNC => STATUS_PENDING,
                // Another thread runs it synchronously, and others have to wait for that.
                Err(_) => STATUS_INVALID_PARAMETER,
            };
        }
        if state(seen) == RUNS_ASYNC {
            return STATUS_INVALID_PARAMETER;
        }
        match begin("RtlRunOnceBeginInitialize", RunOnce, word) {
            Some(made) => {
                // SAFETY: the driver gives the place, or NULL.
                unsafe { give(Context, made) };
                STATUS_SUCCESS
            }
            None => STATUS_PENDING,
        }
    }
}

export! {
    /// Ends an initialisation that was begun.
    fn RtlRunOnceComplete(
        RunOnce: *mut RTL_RUN_ONCE,
        Flags: u32,
        Context: *mut c_void,
    ) -> NTSTATUS, at most APC_LEVEL {
        let function = "RtlRunOnceComplete";
        let (failed, several) = (RTL_RUN_ONCE_INIT_FAILED as u32, RTL_RUN_ONCE_ASYNC as u32);
        if Flags & !(failed | several) != 0 || Flags == failed | several {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the driver gives its structure.
        let word = unsafe { word(RunOnce) };
        let seen = word.load(Ordering::Acquire);
        match state(seen) {
            RUNS if Flags & several == 0 => {
                let made = (Flags & failed == 0).then_some(Context);
                end(function, RunOnce, word, made);
                STATUS_SUCCESS
            }
            RUNS_ASYNC | DONE if Flags & several != 0 => {
                if state(Context) != 0 {
                    end(function, RunOnce, word, Some(Context));
                }
                let done = Context.map_addr(|address| address | DONE);
                match word.compare_exchange(
                    ptr::without_provenance_mut(RUNS_ASYNC),
                    done,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => STATUS_SUCCESS,
                    // Another thread was faster: the result of this one is not used.
                    Err(_) => STATUS_OBJECT_NAME_COLLISION,
                }
            }
            _ => bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNEXPECTED_RELEASE, RunOnce as usize, 0, 0),
                [],
                "RtlRunOnceComplete was called for an initialisation that was not begun so: its state is {}",
                state(seen)
            ),
        }
    }
}
