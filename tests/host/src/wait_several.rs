//! Waiting for several objects at once. Stands for `KeWaitForMultipleObjects`.

use core::ffi::c_void;
use core::slice;

use wsk_sys::{
    DISPATCHER_HEADER, KWAIT_BLOCK, KWAIT_REASON, LARGE_INTEGER, MAXIMUM_WAIT_OBJECTS, NTSTATUS,
    STATUS_SUCCESS, STATUS_TIMEOUT, THREAD_WAIT_OBJECTS, WAIT_TYPE,
};

use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::{clock, event, range, thread};

/// Tries to end the wait now. Returns the number of the object that is signalled, or 0 when the wait is for all of them.
///
/// # Safety
///
/// The objects are dispatcher objects that live until the wait is over.
unsafe fn end(objects: &[*mut c_void], all: bool) -> Option<u32> {
    let header = |object: &*mut c_void| object.cast::<DISPATCHER_HEADER>();
    if !all {
        // SAFETY: the caller says so.
        let first = objects
            .iter()
            .position(|object| unsafe { event::acquire(header(object)) });
        return first.map(|index| index as u32);
    }
    let signalled = |object: &*mut c_void| {
        // SAFETY: the caller says so.
        unsafe { event::is_signalled(header(object)) }
    };
    if !objects.iter().all(signalled) {
        return None;
    }
    for (taken, object) in objects.iter().enumerate() {
        // SAFETY: the caller says so.
        if !unsafe { event::acquire(header(object)) } {
            // Another thread has taken this signal first: puts the others back.
            for object in &objects[..taken] {
                // SAFETY: the caller says so.
                unsafe { event::give_back(header(object)) };
            }
            return None;
        }
    }
    Some(0)
}

export! {
    /// Waits until one of several objects, or each of them, is signalled or a time has passed.
    fn KeWaitForMultipleObjects(
        Count: u32,
        Object: *mut *mut c_void,
        WaitType: WAIT_TYPE,
        WaitReason: KWAIT_REASON,
        WaitMode: i8,
        Alertable: u8,
        Timeout: *mut LARGE_INTEGER,
        WaitBlockArray: *mut KWAIT_BLOCK,
    ) -> NTSTATUS, at most HIGH_LEVEL {
        let _ = (WaitReason, Alertable);
        let function = "KeWaitForMultipleObjects";
        let most = if WaitBlockArray.is_null() { THREAD_WAIT_OBJECTS } else { MAXIMUM_WAIT_OBJECTS } as u32;
        if Count == 0 || Count > most {
            bugcheck!(
                MAXIMUM_WAIT_OBJECTS_EXCEEDED(Count as usize, 0, 0, 0),
                [],
                "{function} was asked to wait for {Count} objects: one to {THREAD_WAIT_OBJECTS} are possible, with a WaitBlockArray to {MAXIMUM_WAIT_OBJECTS}"
            )
        }
        require_nonpaged(function, WaitBlockArray, "a WaitBlockArray");
        // SAFETY: the driver gives a time-out or NULL.
        let timeout = unsafe { clock::timeout(Timeout) };
        // SAFETY: the driver gives so many objects.
        let objects = unsafe { slice::from_raw_parts(Object, Count as usize) };
        for (index, object) in objects.iter().enumerate() {
            event::require_waitable(function, *object, WaitMode, timeout);
            if timeout.is_none() && WaitType == WAIT_TYPE::WaitAll {
                thread::require_another(function, *object);
            }
            if WaitType == WAIT_TYPE::WaitAll && objects[..index].contains(object) {
                bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, *object as usize, index, 0),
                    [],
                    "{function} was asked to wait for all of several objects, one of which is there twice: no wait for it ends"
                )
            }
        }
        let deadline = clock::deadline(timeout);
        let all = WaitType == WAIT_TYPE::WaitAll;
        let blocks = WaitBlockArray as usize;
        let length = if blocks == 0 { 0 } else { objects.len() * size_of::<KWAIT_BLOCK>() };
        let blocks = range::of(blocks, length);
        // SAFETY: the driver gives objects that live until the wait is over.
        match event::wait_for_several(objects, all, blocks, deadline, || unsafe { end(objects, all) }) {
            Some(index) => NTSTATUS(STATUS_SUCCESS.0 + index.cast_signed()),
            None => STATUS_TIMEOUT,
        }
    }
}
