//! Deferred procedure calls. As in NT, `DpcData` in the memory of one tells whether it is queued.

use core::ffi::c_void;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::{Condvar, Mutex};
use wsk_sys::{KDPC, PKDEFERRED_ROUTINE};

use super::{Queued, SOON, later};
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::origin::{self, Whose};
use crate::pool::{self, Block, paging};
use crate::stack_places::{self, User};
use crate::upcall::{self, Code};
use crate::waits::Waiting;

/// The name of a deferred procedure call in reports.
pub(super) const DPC: &str = "the deferred procedure call";

/// The type of a deferred procedure call.
const DPC_OBJECT: u8 = 0x13;

/// The deferred procedure calls that are queued, each with the driver that has queued it.
static QUEUED: Mutex<BTreeMap<usize, u32>> = Mutex::new(BTreeMap::new());

/// Queues a deferred procedure call; returns whether it was not queued yet.
///
/// # Safety
///
/// `dpc` is a deferred procedure call that stays alive while it is queued.
pub(super) unsafe fn queue_dpc(dpc: *mut KDPC, first: *mut c_void, second: *mut c_void) -> bool {
    // SAFETY: the caller says so. One that is freed can't be read, or stays allocated in quarantine.
    let kind = unsafe { (*dpc).Anonymous1.Anonymous1.Type };
    if kind != DPC_OBJECT {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::UNINITIALIZED_RESOURCE,
                dpc as usize,
                0,
                0
            ),
            [pool::story(dpc as usize)],
            "something was to be queued that isn't an initialised deferred procedure call (any more): its type is {kind:#x}"
        )
    }
    // SAFETY: the caller says so; the member tells whether it is queued, and is changed atomically.
    let data = unsafe { AtomicPtr::from_ptr(&raw mut (*dpc).DpcData) };
    if data
        .compare_exchange(
            core::ptr::null_mut(),
            dpc.cast(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        )
        .is_err()
    {
        return false;
    }
    // SAFETY: this call has just queued it, so its arguments are this call's to set.
    unsafe {
        (*dpc).SystemArgument1 = first;
        (*dpc).SystemArgument2 = second;
    }
    let address = dpc as usize;
    QUEUED.lock().insert(address, origin::driver());
    stack_places::watch(User::Dpc { address }, "KeInsertQueueDpc", address, DPC);
    let queued = Queued(dpc);
    later(SOON, move || {
        let Queued(dpc) = { queued };
        QUEUED.lock().remove(&(dpc as usize));
        // SAFETY: the driver keeps the object alive while it is queued. It may queue it again from here on.
        unsafe {
            let (routine, context) = ((*dpc).DeferredRoutine, (*dpc).DeferredContext);
            let (first, second) = ((*dpc).SystemArgument1, (*dpc).SystemArgument2);
            AtomicPtr::from_ptr(&raw mut (*dpc).DpcData)
                .store(core::ptr::null_mut(), Ordering::SeqCst);
            if let Some(routine) = routine {
                paging::trim();
                upcall::call(Code::Deferred(routine as usize), || {
                    routine(dpc, context, first, second);
                });
            }
        }
    });
    true
}

export! {
    /// Initialises a deferred procedure call.
    fn KeInitializeDpc(
        Dpc: *mut KDPC,
        DeferredRoutine: PKDEFERRED_ROUTINE,
        DeferredContext: *mut c_void,
    ), at most HIGH_LEVEL {
        require_nonpaged("KeInitializeDpc", Dpc, "a DPC");
        if QUEUED.lock().contains_key(&(Dpc as usize)) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, Dpc as usize, 0, 0),
                [pool::story(Dpc as usize)],
                "KeInitializeDpc was called for a deferred procedure call that is queued"
            )
        }
        // SAFETY: the driver gives the memory; zero is fine for every member.
        unsafe {
            Dpc.cast::<u8>().write_bytes(0, size_of::<KDPC>());
            (*Dpc).Anonymous1.Anonymous1.Type = DPC_OBJECT;
            (*Dpc).DeferredRoutine = DeferredRoutine;
            (*Dpc).DeferredContext = DeferredContext;
        }
    }
}

export! {
    /// Queues a deferred procedure call; returns whether it was not queued yet.
    fn KeInsertQueueDpc(
        Dpc: *mut KDPC,
        SystemArgument1: *mut c_void,
        SystemArgument2: *mut c_void,
    ) -> u8, at most HIGH_LEVEL {
        // SAFETY: the driver gives the object.
        u8::from(unsafe { queue_dpc(Dpc, SystemArgument1, SystemArgument2) })
    }
}

export! {
    /// Waits until all deferred procedure calls that are queued now have run.
    fn KeFlushQueuedDpcs(), at most PASSIVE_LEVEL {
        let done = std::sync::Arc::new((Mutex::new(false), Condvar::new()));
        let signal = done.clone();
        later(SOON, move || {
            *signal.0.lock() = true;
            signal.1.notify_all();
        });
        let waiting = Waiting::begin("KeFlushQueuedDpcs", 0);
        let mut finished = done.0.lock();
        while !*finished {
            waiting.sleep(&done.1, &mut finished, String::new);
        }
    }
}

/// Whether a deferred procedure call is queued.
pub(crate) fn is_queued(dpc: usize) -> bool {
    QUEUED.lock().contains_key(&dpc)
}

/// Stops when a block is being freed that holds a deferred procedure call that is queued.
pub(super) fn memory_freed(block: &Block) {
    let range = block.range();
    let dpc = QUEUED
        .lock()
        .range(range.clone())
        .next()
        .map(|(&dpc, _)| dpc);
    if let Some(dpc) = dpc {
        bugcheck!(
            TIMER_OR_DPC_INVALID(1, dpc, range.start, range.len()),
            [block],
            "memory was freed that holds a deferred procedure call that is queued"
        )
    }
}

/// Deferred procedure calls that are queued, as lines of a report.
pub(crate) fn queued(whose: Whose) -> Vec<String> {
    QUEUED
        .lock()
        .iter()
        .filter(|&(_, &driver)| whose.is(driver))
        .map(|(dpc, _)| format!("deferred procedure call at {dpc:#x} that is still queued"))
        .collect()
}

/// Forgets the queued deferred procedure calls.
pub(super) fn reset() {
    QUEUED.lock().clear();
}
