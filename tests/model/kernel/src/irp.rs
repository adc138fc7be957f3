//! IRPs that can be cancelled.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use loom::sync::atomic::{AtomicBool, Ordering};
use real::{IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED};

use crate::memory::{read, write};
use crate::provider;

thread_local! {
    /// Whether IRPs have a cancel routine, by address. The thread that takes it away completes the IRP.
    static ROUTINES: RefCell<HashMap<usize, Rc<AtomicBool>>> = RefCell::default();
}

pub(crate) fn begin() {
    ROUTINES.take();
}

fn routine(irp: *mut IRP) -> Rc<AtomicBool> {
    ROUTINES.with_borrow(|routines| routines[&irp.addr()].clone())
}

/// `IoInitializeIrp`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn IoInitializeIrp(irp: *mut IRP, size: u16, stack: i8) {
    let has_routine = Rc::new(AtomicBool::new(false));
    ROUTINES.with_borrow_mut(|routines| routines.insert(irp.addr(), has_routine));
    // SAFETY: the caller owns as many bytes.
    unsafe { initialise(irp, size, stack) };
}

/// # Safety
///
/// As for `IoInitializeIrp`.
unsafe fn initialise(irp: *mut IRP, size: u16, stack: i8) {
    // SAFETY: the caller owns as many bytes.
    unsafe {
        irp.cast::<u8>().write_bytes(0, size.into());
        (*irp).Size = size;
        (*irp).StackCount = stack;
        (*irp).CurrentLocation = stack + 1;
        let first = irp.add(1).cast::<IO_STACK_LOCATION>();
        (*irp).Tail.Overlay.Anonymous2.CurrentStackLocation =
            first.add(stack.unsigned_abs().into());
    }
}

/// `IoReuseIrp`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn IoReuseIrp(irp: *mut IRP, status: NTSTATUS) {
    // The IRP must not be cancelled meanwhile.
    write(irp.addr() + 1, || {});
    write(irp.addr(), || {
        // SAFETY: the caller owns the IRP, which was initialised.
        unsafe {
            let (size, stack) = ((*irp).Size, (*irp).StackCount);
            initialise(irp, size, stack);
            (*irp).IoStatus = IO_STATUS_BLOCK::new(status, 0);
        }
    });
}

/// For the provider: `IoSetCancelRoutine` with a routine.
pub(crate) fn set_cancellable(irp: *mut IRP) {
    // An exchange, as in the kernel: loom could order another exchange after a mere store and let it miss the store.
    routine(irp).swap(true, Ordering::AcqRel);
}

/// For the provider: `IoSetCancelRoutine` with NULL. Returns whether there was a routine, so that the caller must complete the
/// IRP.
pub(crate) fn take_cancel_routine(irp: *mut IRP) -> bool {
    routine(irp).swap(false, Ordering::AcqRel)
}

/// `IoCancelIrp`.
///
/// # Safety
///
/// The contract of the kernel's function.
pub unsafe fn IoCancelIrp(irp: *mut IRP) -> u8 {
    // The caller owns the IRP, and nobody reuses it meanwhile.
    read(irp.addr() + 1, || {});
    if take_cancel_routine(irp) {
        provider::cancelled(irp);
    }
    0
}

/// For the provider: completes the IRP.
pub(crate) fn complete(irp: *mut IRP, status: NTSTATUS, information: usize) {
    // SAFETY: the provider owns the IRP until its routine is called.
    let (routine, context) = write(irp.addr(), || unsafe {
        assert_eq!(
            (*irp).CurrentLocation,
            (*irp).StackCount + 1,
            "completed once"
        );
        (*irp).CurrentLocation -= 1;
        (*irp).IoStatus = IO_STATUS_BLOCK::new(status, information);
        let location = (*irp)
            .Tail
            .Overlay
            .Anonymous2
            .CurrentStackLocation
            .wrapping_sub(1);
        ((*location).CompletionRoutine, (*location).Context)
    });
    // SAFETY: the completion routine is called as the kernel calls it.
    let went_on = unsafe { routine.expect("a routine")(core::ptr::null_mut(), irp, context) };
    assert_eq!(went_on, STATUS_MORE_PROCESSING_REQUIRED);
}
