//! I/O request packets.

use core::sync::atomic::{AtomicU8, Ordering};

use wsk_sys::{
    IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, IoGetNextIrpStackLocation, IoSetCancelRoutine,
    IoSizeOfIrp, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED,
};

use crate::dispatcher::raised;

/// An IRP that the provider owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Irp(pub(crate) *mut IRP);

// SAFETY: an IRP is not bound to a thread.
unsafe impl Send for Irp {}

/// `IoInitializeIrp`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn IoInitializeIrp(irp: *mut IRP, size: u16, stack: i8) {
    assert_eq!(size, IoSizeOfIrp(stack));
    // SAFETY: the caller owns as many bytes.
    unsafe {
        irp.cast::<u8>().write_bytes(0, size.into());
        (*irp).Type = 6;
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
/// SAFETY: the caller owns the IRP, which was initialised.
#[unsafe(no_mangle)]
unsafe extern "system" fn IoReuseIrp(irp: *mut IRP, status: NTSTATUS) {
    // SAFETY: the caller has the IRP, which was initialised.
    unsafe {
        let (size, stack) = ((*irp).Size, (*irp).StackCount);
        IoInitializeIrp(irp, size, stack);
        (*irp).IoStatus = IO_STATUS_BLOCK::new(status, 0);
    }
}

/// `IoCancelIrp`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn IoCancelIrp(irp: *mut IRP) -> u8 {
    // SAFETY: the caller keeps the IRP meanwhile; its flag and its routine are only used atomically while it is in flight.
    unsafe {
        AtomicU8::from_ptr(&raw mut (*irp).Cancel).store(1, Ordering::SeqCst);
        let Some(routine) = IoSetCancelRoutine(irp, None) else {
            return 0;
        };
        raised(|| routine(core::ptr::null_mut(), irp));
    }
    1
}

impl Irp {
    /// Whether it was cancelled.
    pub(crate) fn is_cancelled(self) -> bool {
        // SAFETY: the provider owns the IRP.
        unsafe { AtomicU8::from_ptr(&raw mut (*self.0).Cancel) }.load(Ordering::SeqCst) != 0
    }

    /// `IoCompleteRequest`: afterwards the provider no longer owns the IRP.
    pub(crate) fn complete(self, status: NTSTATUS, information: usize) {
        // SAFETY: the provider owns the IRP until its routine is called.
        let went_on = unsafe {
            let irp = self.0;
            (*irp).IoStatus = IO_STATUS_BLOCK::new(status, information);
            assert_eq!((*irp).CurrentLocation, (*irp).StackCount + 1, "once");
            let location = IoGetNextIrpStackLocation(irp);
            let (routine, context) = ((*location).CompletionRoutine, (*location).Context);
            (*irp).CurrentLocation -= 1;
            raised(|| routine.expect("a routine")(core::ptr::null_mut(), irp, context))
        };
        assert_eq!(went_on, STATUS_MORE_PROCESSING_REQUIRED);
    }
}
