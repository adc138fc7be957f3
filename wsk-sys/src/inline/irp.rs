//! I/O request packets: functions that walk the stack locations behind an IRP, set the completion routine, send an IRP and
//! complete it. They replace the IRP functions of `wdm.h` that have no symbol in `ntoskrnl.exe`.

use core::ffi::c_void;
use core::mem::{offset_of, size_of, transmute};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IO_STATUS_BLOCK_Anonymous1, IRP,
    IofCallDriver, IofCompleteRequest, NTSTATUS, PDRIVER_CANCEL, PIO_COMPLETION_ROUTINE,
    SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED,
};

/// Bytes of a request with this many stack locations.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosizeofirp).
#[inline]
#[must_use]
pub const fn IoSizeOfIrp(StackSize: i8) -> u16 {
    // As in C: a sum in size_t, cut to 16 bits. No count from 0 to 127 loses bits.
    (StackSize as usize)
        .wrapping_mul(size_of::<IO_STACK_LOCATION>())
        .wrapping_add(size_of::<IRP>()) as u16
}

/// Stack location of the driver that has the request.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetcurrentirpstacklocation).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns. The result may be read and written only while the request
/// has a current location, which a request that has just been allocated has not.
#[inline]
#[must_use]
pub unsafe fn IoGetCurrentIrpStackLocation(Irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the caller's request is initialised, so its tail is in use as `Overlay` and holds the pointer.
    unsafe { (*Irp).Tail.Overlay.Anonymous2.CurrentStackLocation }
}

/// Stack location of the driver that gets the request next.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetnextirpstacklocation).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns. The result may be read and written only if the request has
/// a further location: `CurrentLocation` is above 1.
#[inline]
#[must_use]
pub unsafe fn IoGetNextIrpStackLocation(Irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the caller promises this. The step itself is defined even if no further location exists.
    unsafe { IoGetCurrentIrpStackLocation(Irp).wrapping_sub(1) }
}

/// Makes the next stack location the current one.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetnextirpstacklocation).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns and that has a further location.
#[inline]
pub unsafe fn IoSetNextIrpStackLocation(Irp: *mut IRP) {
    // SAFETY: the caller owns the initialised request.
    unsafe { step(Irp, -1) }
}

/// Lets the next driver have the current stack location as it is.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioskipcurrentirpstacklocation).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns and that has a current location. No completion routine is
/// set afterwards: it would take the place of the one above.
#[inline]
pub unsafe fn IoSkipCurrentIrpStackLocation(Irp: *mut IRP) {
    // SAFETY: the caller owns the initialised request.
    unsafe { step(Irp, 1) }
}

/// Moves the pointer to the current location and its number by one.
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns.
#[inline]
unsafe fn step(Irp: *mut IRP, by: i8) {
    // SAFETY: the caller's request is initialised, so its tail is in use as `Overlay`; nobody else writes these members.
    unsafe {
        let location = &raw mut (*Irp).Tail.Overlay.Anonymous2.CurrentStackLocation;
        *location = (*location).wrapping_offset(by as isize);
        (*Irp).CurrentLocation = (*Irp).CurrentLocation.wrapping_add(by);
    }
}

/// Copies the current stack location for the next driver, without the completion routine.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocopycurrentirpstacklocationtonext).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns, and that has both a current and a further location.
#[inline]
pub unsafe fn IoCopyCurrentIrpStackLocationToNext(Irp: *mut IRP) {
    // SAFETY: both locations exist and lie next to each other, so they do not overlap.
    unsafe {
        let next = IoGetNextIrpStackLocation(Irp);
        let current = IoGetCurrentIrpStackLocation(Irp);
        current.cast::<u8>().copy_to_nonoverlapping(
            next.cast(),
            offset_of!(IO_STACK_LOCATION, CompletionRoutine),
        );
        (*next).Control = 0;
    }
}

/// Sets the routine to call when the request completes, and the outcomes for which it is called.
///
/// The routine and its three conditions go to the *next* location, so this comes before `IoCallDriver` or the call of WSK.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcompletionroutine).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns and that has a further location. If any condition is true
/// the routine is not `None`, and it and `Context` stay valid until the request has completed.
#[inline]
pub unsafe fn IoSetCompletionRoutine(
    Irp: *mut IRP,
    CompletionRoutine: PIO_COMPLETION_ROUTINE,
    Context: *mut c_void,
    InvokeOnSuccess: bool,
    InvokeOnError: bool,
    InvokeOnCancel: bool,
) {
    let mut control = 0;
    if InvokeOnSuccess {
        control |= SL_INVOKE_ON_SUCCESS;
    }
    if InvokeOnError {
        control |= SL_INVOKE_ON_ERROR;
    }
    if InvokeOnCancel {
        control |= SL_INVOKE_ON_CANCEL;
    }
    // SAFETY: the caller's request has a further location, which nobody else uses yet.
    unsafe {
        let next = IoGetNextIrpStackLocation(Irp);
        (*next).CompletionRoutine = CompletionRoutine;
        (*next).Context = Context;
        (*next).Control = control;
    }
}

/// Sets the routine that cancels the request, and gives the earlier one.
///
/// One atomic exchange: exactly one of the owner and `IoCancelIrp` gets a routine that was set.
///
/// IRQL: any. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcancelroutine).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns. The routine stays valid while it is set.
#[inline]
pub unsafe fn IoSetCancelRoutine(Irp: *mut IRP, CancelRoutine: PDRIVER_CANCEL) -> PDRIVER_CANCEL {
    // SAFETY: the pointer is that of an aligned member of the caller's request, which others access only atomically. An
    // optional function pointer is as wide as a data pointer and `None` is NULL, so the value goes both ways unchanged.
    unsafe {
        let routine = AtomicPtr::from_ptr((&raw mut (*Irp).CancelRoutine).cast::<*mut ()>());
        let new = transmute::<PDRIVER_CANCEL, *mut ()>(CancelRoutine);
        transmute::<*mut (), PDRIVER_CANCEL>(routine.swap(new, Ordering::SeqCst))
    }
}

/// Marks the request as pending in the current stack location.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iomarkirppending).
///
/// # Safety
///
/// `Irp` points to an initialised request that the caller owns and that has a current location.
#[inline]
pub unsafe fn IoMarkIrpPending(Irp: *mut IRP) {
    // SAFETY: the current location exists and belongs to the caller.
    unsafe { (*IoGetCurrentIrpStackLocation(Irp)).Control |= SL_PENDING_RETURNED }
}

/// Completes a request and calls the completion routines on its way up.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocompleterequest).
///
/// # Safety
///
/// `Irp` points to a request that the caller owns, whose `IoStatus` is set and whose cancel routine is not. The caller does
/// not touch it afterwards.
#[inline]
pub unsafe fn IoCompleteRequest(Irp: *mut IRP, PriorityBoost: i8) {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { IofCompleteRequest(Irp, PriorityBoost) }
}

/// Sends a request to a device.
///
/// IRQL: `<= DISPATCH_LEVEL`. Header: `wdm.h`.
/// [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocalldriver).
///
/// # Safety
///
/// `DeviceObject` points to a device object that stays until the call returns. `Irp` points to a request that the caller
/// owns and that has a further location, filled in for that device. The caller does not touch it until it is completed.
#[inline]
pub unsafe fn IoCallDriver(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the caller's promise is that of the imported function.
    unsafe { IofCallDriver(DeviceObject, Irp) }
}

impl IO_STATUS_BLOCK {
    /// A status, and the information of the request: for most requests, a number of bytes.
    #[inline]
    #[must_use]
    pub const fn new(status: NTSTATUS, information: usize) -> Self {
        // The status is half as wide as the pointer that shares its place. The rest is zeroed for code that reads the pointer.
        let mut place = IO_STATUS_BLOCK_Anonymous1 {
            Pointer: core::ptr::null_mut(),
        };
        place.Status = status;
        Self {
            Anonymous1: place,
            Information: information,
        }
    }

    /// The status, which C reads as the member `Status`.
    #[inline]
    #[doc(alias = "Status")]
    pub const fn status(&self) -> NTSTATUS {
        // SAFETY: the status is in the first four bytes of the union, whichever member was written, and every number is a status.
        unsafe { self.Anonymous1.Status }
    }
}
