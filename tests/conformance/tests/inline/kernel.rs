//! Replaces the functions of `ntoskrnl.exe` that inline functions call. Each call is recorded, and returns a result that depends
//! on its arguments.

use std::cell::RefCell;
use std::ffi::c_void;

use wsk_sys::{
    DEVICE_OBJECT, EVENT_TYPE, IRP, KEVENT, KPROCESSOR_MODE, LARGE_INTEGER, MDL,
    MEMORY_CACHING_TYPE, NTSTATUS, POOL_TYPE, SLIST_ENTRY, SLIST_HEADER,
};

/// A call: the function and its arguments.
pub(crate) type Call = (&'static str, Vec<usize>);

thread_local! {
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

/// The memory that the pool returns, the same each time. Null for a size of 0.
pub(crate) struct Pool([u128; 8]);

thread_local! {
    static POOL: RefCell<Box<Pool>> = RefCell::new(Box::new(Pool([0; 8])));
}

/// Fills the pool's memory.
pub(crate) fn fill_pool(byte: u8) {
    POOL.with_borrow_mut(|pool| pool.0 = [u128::from_ne_bytes([byte; 16]); 8]);
}

/// The current contents of the pool's memory.
pub(crate) fn pool() -> [u128; 8] {
    POOL.with_borrow(|pool| pool.0)
}

/// Forgets the calls of this thread.
pub(crate) fn forget_calls() {
    calls();
}

/// The calls of this thread since the last call of this function.
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

#[unsafe(no_mangle)]
extern "system" fn ExpInterlockedPushEntrySList(
    head: *mut SLIST_HEADER,
    entry: *mut SLIST_ENTRY,
) -> *mut SLIST_ENTRY {
    note(
        "ExpInterlockedPushEntrySList",
        vec![head.addr(), entry.addr()],
    );
    head.cast()
}

/// Returns null if the head says that the list is empty.
#[unsafe(no_mangle)]
extern "system" fn ExpInterlockedPopEntrySList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    note("ExpInterlockedPopEntrySList", vec![head.addr()]);
    // SAFETY: tests pass heads that may be read.
    let depth = unsafe { (*head).Anonymous1.Alignment };
    if depth == 0 {
        std::ptr::null_mut()
    } else {
        head.cast()
    }
}

#[unsafe(no_mangle)]
extern "system" fn ExpInterlockedFlushSList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    note("ExpInterlockedFlushSList", vec![head.addr()]);
    head.cast()
}

#[unsafe(no_mangle)]
extern "system" fn ExQueryDepthSList(head: *mut SLIST_HEADER) -> u16 {
    note("ExQueryDepthSList", vec![head.addr()]);
    // SAFETY: tests pass heads that may be read.
    let alignment = unsafe { (*head).Anonymous1.Alignment };
    u16::try_from(alignment & 0xFFFF).unwrap_or_default()
}

#[unsafe(no_mangle)]
extern "system" fn KeInitializeEvent(event: *mut KEVENT, kind: EVENT_TYPE, state: u8) {
    note(
        "KeInitializeEvent",
        vec![event.addr(), kind.0.cast_unsigned() as usize, state.into()],
    );
}

#[unsafe(no_mangle)]
extern "system" fn ExAllocatePoolWithTag(kind: POOL_TYPE, size: usize, tag: u32) -> *mut c_void {
    note(
        "ExAllocatePoolWithTag",
        vec![kind.0.cast_unsigned() as usize, size, tag as usize],
    );
    if size == 0 {
        return std::ptr::null_mut();
    }
    POOL.with_borrow_mut(|pool| (&raw mut pool.0).cast())
}

#[unsafe(no_mangle)]
extern "system" fn KeQuerySystemTimePrecise(time: *mut LARGE_INTEGER) {
    note("KeQuerySystemTimePrecise", vec![time.addr()]);
    // SAFETY: tests pass the place.
    unsafe { (*time).QuadPart = 77 };
}

macro_rules! push_locks {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "system" fn $name(lock: *mut usize, flags: u32) {
            note(stringify!($name), vec![lock.addr(), flags as usize]);
        }
    )*};
}

push_locks! {
    ExAcquirePushLockSharedEx
    ExAcquirePushLockExclusiveEx
    ExReleasePushLockSharedEx
    ExReleasePushLockExclusiveEx
}
