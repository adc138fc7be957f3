//! Stands in for the functions of `ntoskrnl.exe` that inline functions call: each call is noted, and gives a result that
//! depends on its arguments.

use std::cell::RefCell;
use std::ffi::c_void;

use wsk_sys::{DEVICE_OBJECT, IRP, KPROCESSOR_MODE, MDL, MEMORY_CACHING_TYPE, NTSTATUS};

/// A call: the function and its arguments.
pub(crate) type Call = (&'static str, Vec<usize>);

thread_local! {
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the calls of this thread.
pub(crate) fn forget_calls() {
    calls();
}

/// The calls of this thread since they were asked for last.
pub(crate) fn calls() -> Vec<Call> {
    CALLS.with(RefCell::take)
}

fn note(function: &'static str, arguments: Vec<usize>) {
    CALLS.with(|calls| calls.borrow_mut().push((function, arguments)));
}

#[unsafe(no_mangle)]
extern "system" fn IofCompleteRequest(irp: *mut IRP, boost: i8) {
    note(
        "IofCompleteRequest",
        vec![irp.addr(), boost.cast_unsigned().into()],
    );
}

#[unsafe(no_mangle)]
extern "system" fn IofCallDriver(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    note("IofCallDriver", vec![device.addr(), irp.addr()]);
    NTSTATUS(i32::from_ne_bytes([1, 2, 3, device.is_aligned().into()]))
}

#[unsafe(no_mangle)]
extern "system" fn MmMapLockedPagesSpecifyCache(
    mdl: *mut MDL,
    mode: KPROCESSOR_MODE,
    cache: MEMORY_CACHING_TYPE,
    address: *mut c_void,
    bug_check: u32,
    priority: u32,
) -> *mut c_void {
    let numbers = [
        mdl.addr(),
        mode.cast_unsigned().into(),
        cache.0.cast_unsigned() as usize,
        address.addr(),
        bug_check as usize,
        priority as usize,
    ];
    note("MmMapLockedPagesSpecifyCache", numbers.to_vec());
    mdl.cast()
}

#[unsafe(no_mangle)]
extern "system" fn MmUnmapLockedPages(address: *mut c_void, mdl: *mut MDL) {
    note("MmUnmapLockedPages", vec![address.addr(), mdl.addr()]);
}

#[unsafe(no_mangle)]
extern "system" fn KfRaiseIrql(level: u8) -> u8 {
    note("KfRaiseIrql", vec![level.into()]);
    !level
}

#[unsafe(no_mangle)]
extern "system" fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8 {
    note("KeAcquireSpinLockRaiseToDpc", vec![lock.addr()]);
    1
}

#[unsafe(no_mangle)]
extern "system" fn ObfReferenceObject(object: *mut c_void) -> isize {
    note("ObfReferenceObject", vec![object.addr()]);
    object.addr().cast_signed()
}

#[unsafe(no_mangle)]
extern "system" fn ObfDereferenceObject(object: *mut c_void) -> isize {
    note("ObfDereferenceObject", vec![object.addr()]);
    !object.addr().cast_signed()
}
