//! The way of a completed IRP back up its stack locations, and `IofCompleteRequest`.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use wsk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, NTSTATUS, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING,
};

use super::record::{Record, State};
use super::{RECORDS, cancel_requested, current_location, device_of, story, with_record};
use crate::bugcheck::{bugcheck, io_violation};
use crate::irql;
use crate::origin;
use crate::pool::paging;
use crate::trace::{self, IrpStep};
use crate::upcall::{self, Code};

/// A completion routine that has to be called, with its arguments.
struct Routine {
    code: unsafe extern "system" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS,
    device: *mut DEVICE_OBJECT,
    context: *mut c_void,
}

/// Walks up the stack locations and calls the completion routines, as `IofCompleteRequest` does.
///
/// # Safety
///
/// The IRP is alive and in state `Completing`.
pub(super) unsafe fn climb(irp: *mut IRP) {
    loop {
        // SAFETY: the IRP is alive: it was at the start, and after each completion routine a look at its record tells.
        let (routine, top) = unsafe { leave_location(irp) };
        // SAFETY: the IRP is alive, and the routine was set by its driver.
        if routine.is_some_and(|routine| unsafe { call_routine(irp, top, &routine) }.is_none()) {
            // The driver has the IRP back, and may have freed, reused or sent it already.
            return;
        }
        if top {
            break;
        }
    }
    // SAFETY: nobody claimed the IRP, so it is alive.
    unsafe {
        (*irp).CurrentLocation = (*irp).StackCount + 2;
    }
    // Here Windows would return an IRP of the I/O manager to its thread. In the host kernel drivers can't make such IRPs.
    bugcheck!(
        DRIVER_VERIFIER_IOMANAGER_VIOLATION(io_violation::UNKNOWN, irp as usize, 0, 0),
        [story(irp)],
        "an IRP of the driver's own was completed and no completion routine returned STATUS_MORE_PROCESSING_REQUIRED"
    )
}

/// Clears the current stack location and makes the one above it the current one. Returns the completion routine of the cleared location, if
/// it has to be called, and whether there is no location above.
///
/// # Safety
///
/// The IRP is alive and in state `Completing`.
unsafe fn leave_location(irp: *mut IRP) -> (Option<Routine>, bool) {
    // SAFETY: the caller says so.
    unsafe {
        let location = *current_location(irp);
        let control = u32::from((*location).Control);
        let (code, context) = ((*location).CompletionRoutine, (*location).Context);
        (*irp).CurrentLocation += 1;
        *current_location(irp) = location.add(1);
        let pending = control & SL_PENDING_RETURNED as u32 != 0;
        (*irp).PendingReturned = u8::from(pending);
        let wanted = if (*irp).IoStatus.Anonymous1.Status.0 >= 0 {
            control & SL_INVOKE_ON_SUCCESS as u32
        } else {
            control & SL_INVOKE_ON_ERROR as u32
        };
        let cancelled = control & SL_INVOKE_ON_CANCEL as u32 != 0 && cancel_requested(irp);
        let top = (*irp).CurrentLocation > (*irp).StackCount;
        ptr::write_bytes(location.cast::<u8>(), 0, size_of::<IO_STACK_LOCATION>());
        let routine = code
            .filter(|_| wanted != 0 || cancelled)
            .map(|code| Routine {
                code,
                device: device_of(irp),
                context,
            });
        if routine.is_none() && pending && !top {
            (**current_location(irp)).Control |= SL_PENDING_RETURNED as u8;
        }
        (routine, top)
    }
}

/// Calls a completion routine; `None` when the routine keeps the IRP.
///
/// # Safety
///
/// The IRP is alive and in state `Completing`; the routine was set by its driver.
unsafe fn call_routine(irp: *mut IRP, top: bool, routine: &Routine) -> Option<()> {
    let address = irp as usize;
    let &Routine {
        code,
        device,
        context,
    } = routine;
    let (number, generation, driver) = {
        let mut locked = RECORDS.lock(address);
        let record = locked.get(address)?;
        // Above the last location the IRP belongs to the driver that made it. Below, it belongs to a driver that it was sent to and
        // that may have to complete it.
        record.state = if top { State::Driver } else { State::Sent };
        let told = record.step(IrpStep::RoutineCalled);
        let known = (record.number, record.generation, record.origin.driver());
        drop(locked);
        told.tell(address);
        known
    };
    if irql::current() >= irql::DISPATCH_LEVEL {
        paging::trim();
    }
    let returned = upcall::call(Code::CompletionRoutine(code as usize), || {
        // SAFETY: the driver gave this routine for this IRP.
        origin::for_driver(driver, || unsafe { code(device, irp, context) })
    });
    trace::irp(number, address, IrpStep::RoutineReturned(returned));
    if returned == STATUS_MORE_PROCESSING_REQUIRED {
        return None;
    }
    let mut locked = RECORDS.lock(address);
    match locked.get(address) {
        Some(record)
            if record.number == number
                && record.generation == generation
                && matches!(record.state, State::Driver | State::Sent) =>
        {
            // The listeners have this step already.
            let _ = record.step(IrpStep::RoutineReturned(returned));
            record.state = State::Completing;
            Some(())
        }
        _ => {
            drop(locked);
            bugcheck!(
                PAGE_FAULT_IN_FREED_SPECIAL_POOL(address, 0, code as usize, 0),
                [story(irp)],
                "a completion routine freed or reused its IRP and returned {returned:?} instead of STATUS_MORE_PROCESSING_REQUIRED"
            )
        }
    }
}

/// Stops when a driver must not complete the IRP now.
///
/// # Safety
///
/// `irp` is alive.
unsafe fn require_completable(irp: *mut IRP, record: &Record) {
    let address = irp as usize;
    // SAFETY: the caller says so.
    let (status, cancel, current, count) = unsafe {
        let cancel = AtomicPtr::from_ptr((&raw mut (*irp).CancelRoutine).cast::<*mut c_void>())
            .load(Ordering::SeqCst);
        (
            (*irp).IoStatus.Anonymous1.Status,
            cancel,
            (*irp).CurrentLocation,
            (*irp).StackCount,
        )
    };
    match record.state {
        State::Sent => {}
        State::Provider(_) => bugcheck!(
            MULTIPLE_IRP_COMPLETE_REQUESTS(address, 0, 0, 0),
            [record],
            "IoCompleteRequest was called for an IRP that the provider owns and will complete itself"
        ),
        State::Driver | State::Completing => bugcheck!(
            MULTIPLE_IRP_COMPLETE_REQUESTS(address, 0, 0, 0),
            [record],
            "IoCompleteRequest was called for an IRP that is completed already, or was never sent"
        ),
    }
    if current > count {
        bugcheck!(
            MULTIPLE_IRP_COMPLETE_REQUESTS(address, 0, 0, 0),
            [record],
            "IoCompleteRequest was called for an IRP without a current stack location"
        )
    }
    if status == STATUS_PENDING || status.0 == -1 {
        bugcheck!(
            DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                io_violation::COMPLETED_PENDING,
                status.0 as usize,
                address,
                0
            ),
            [record],
            "an IRP was completed with the status {status:?}"
        )
    }
    if !cancel.is_null() {
        bugcheck!(
            DRIVER_VERIFIER_IOMANAGER_VIOLATION(
                io_violation::COMPLETED_CANCELABLE,
                cancel as usize,
                address,
                0
            ),
            [record],
            "an IRP was completed while its cancel routine was still set"
        )
    }
}

export! {
    /// Completes an IRP that was sent to the calling driver.
    fn IofCompleteRequest(Irp: *mut IRP, PriorityBoost: i8), at most DISPATCH_LEVEL {
        let _ = PriorityBoost;
        let address = Irp as usize;
        let told = with_record("IoCompleteRequest", Irp, |record| {
            // SAFETY: the IRP has a record, so it is alive.
            let (status, information) = unsafe {
                require_completable(Irp, record);
                ((*Irp).IoStatus.Anonymous1.Status, (*Irp).IoStatus.Information)
            };
            record.state = State::Completing;
            record.step(IrpStep::Completed(status, information))
        });
        told.tell(address);
        // SAFETY: the IRP is alive and being completed.
        unsafe { climb(Irp) };
    }
}
