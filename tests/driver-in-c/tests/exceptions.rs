//! Structured exceptions in a driver in C: what catches which exception, in which order, and which exceptions nothing catches.
//! The driver is `c/exceptions.c`.

// Microsoft's compiler has its own exceptions, which the host kernel does not raise.
#![cfg(not(any(without_clang, target_env = "msvc")))]

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use wsk_driver_in_c as _;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Kernel, Resource};
use wsk_sys::{
    ExAllocatePoolWithTag, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, LOCK_OPERATION, MDL,
    MmUnlockPages, NTSTATUS, POOL_TYPE, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_WORKING_SET_QUOTA,
};

mod driver {
    use super::{LOCK_OPERATION, MDL, NTSTATUS, c_char, c_void};

    unsafe extern "C" {
        pub(super) static Trace: [c_char; 64];
        pub(super) fn Choose(mdl: *mut MDL, operation: LOCK_OPERATION);
        pub(super) safe fn Lock() -> NTSTATUS;
        pub(super) safe fn Nested() -> NTSTATUS;
        pub(super) safe fn Finally(leaves: u8) -> NTSTATUS;
        pub(super) safe fn RaisedAgain() -> NTSTATUS;
        pub(super) safe fn LeftEarly(how: u32) -> u32;
        pub(super) safe fn LeftEarlyThenRaised(how: u32) -> NTSTATUS;
        pub(super) safe fn LeftEarlyThenRaisedOutside(how: u32);
        pub(super) fn Probe(
            address: *mut c_void,
            length: usize,
            alignment: u32,
            write: u8,
        ) -> NTSTATUS;
        pub(super) safe fn Allocate(how: u32) -> NTSTATUS;
        pub(super) safe fn CallsBack(catches: u8) -> NTSTATUS;
        pub(super) safe fn Continues();
        pub(super) safe fn ReturnsPastFinally() -> NTSTATUS;
    }
}

/// The steps that the driver has run since the last call of this function.
fn trace() -> String {
    // SAFETY: the driver ends the text with a zero. No function of the driver runs now, because tests that use it hold the only
    // kernel.
    unsafe {
        let text = CStr::from_ptr((&raw const driver::Trace).cast());
        let text = text.to_str().unwrap().to_owned();
        driver::Choose(ptr::null_mut(), LOCK_OPERATION::IoReadAccess);
        text
    }
}

/// Makes the driver lock these bytes.
fn choose(memory: *const u8, length: u32, operation: LOCK_OPERATION) -> *mut MDL {
    // SAFETY: the memory is not accessed before it is locked, which is under test.
    unsafe {
        let mdl = IoAllocateMdl(memory.cast_mut().cast(), length, 0, 0, ptr::null_mut());
        driver::Choose(mdl, operation);
        mdl
    }
}

fn free(mdl: *mut MDL) {
    // SAFETY: `choose` allocated the MDL, and its pages are not locked.
    unsafe { IoFreeMdl(mdl) };
}

static CONSTANT: [u8; 64] = [7; 64];

/// An address without memory.
const ABSENT: *const u8 = ptr::without_provenance(0x1000);

#[test]
fn absent_and_constant_memory_is_caught() {
    let kernel = Kernel::boot();
    let mdl = choose(ABSENT, 64, LOCK_OPERATION::IoReadAccess);
    assert_eq!(driver::Lock(), STATUS_ACCESS_VIOLATION);
    assert_eq!(trace(), "te.");
    free(mdl);
    let mdl = choose(CONSTANT.as_ptr(), 64, LOCK_OPERATION::IoWriteAccess);
    assert_eq!(driver::Lock(), STATUS_ACCESS_VIOLATION);
    assert_eq!(trace(), "te.");
    free(mdl);
    // A lock that succeeds raises nothing to catch.
    let mut memory = [0_u8; 64];
    let mdl = choose(memory.as_mut_ptr(), 64, LOCK_OPERATION::IoWriteAccess);
    assert_eq!(driver::Lock(), STATUS_SUCCESS);
    assert_eq!(trace(), "tl.");
    // SAFETY: the driver has locked the pages.
    unsafe { MmUnlockPages(mdl) };
    // No frame is left behind: the next one catches a failure on demand.
    driver_chooses_again(mdl);
    kernel.fail_nth(Resource::Lock, 1);
    assert_eq!(driver::Lock(), STATUS_WORKING_SET_QUOTA);
    assert_eq!(trace(), "te.");
    free(mdl);
    kernel.shutdown();
}

fn driver_chooses_again(mdl: *mut MDL) {
    // SAFETY: the MDL belongs to the test.
    unsafe { driver::Choose(mdl, LOCK_OPERATION::IoWriteAccess) };
}

#[test]
fn nested_blocks() {
    let kernel = Kernel::boot();
    let mdl = choose(ABSENT, 64, LOCK_OPERATION::IoReadAccess);
    assert_eq!(driver::Nested(), STATUS_ACCESS_VIOLATION);
    // The __finally block, the filter that does not take the exception, the one that does, its block, and the code after it.
    assert_eq!(trace(), "A??on");
    free(mdl);
    kernel.shutdown();
}

#[test]
fn blocks_of_finally() {
    let kernel = Kernel::boot();
    let _ = trace();
    assert_eq!(driver::Finally(0), STATUS_SUCCESS);
    assert_eq!(trace(), "tuN.");
    assert_eq!(driver::Finally(1), STATUS_SUCCESS);
    assert_eq!(trace(), "tN.");
    kernel.shutdown();
}

#[test]
fn raised_while_one_is_handled() {
    let kernel = Kernel::boot();
    let _ = trace();
    assert_eq!(driver::RaisedAgain(), STATUS_DATATYPE_MISALIGNMENT);
    assert_eq!(trace(), "1234");
    kernel.shutdown();
}

#[test]
fn blocks_that_are_left_early() {
    let kernel = Kernel::boot();
    let _ = trace();
    for (how, rounds, ran) in [
        (0, 10, ""),
        (1, 1, ""),
        (2, 4, "e"),
        (3, 1, ""),
        (4, 4, "nnnn"),
        (5, 4, "eeee"),
    ] {
        assert_eq!(
            (driver::LeftEarly(how), trace().as_str()),
            (rounds, ran),
            "{how}"
        );
        // The frame is gone, so the outer one catches.
        assert_eq!(driver::LeftEarlyThenRaised(how), STATUS_TIMEOUT, "{how}");
        assert_eq!(trace(), format!("{ran}o"), "{how}");
    }
    kernel.shutdown();
}

#[test]
fn buffers_of_programs_are_probed() {
    let kernel = Kernel::boot();
    let mut memory = [0_u64; 8];
    let probe = |address: *const u8, length, alignment, write: bool| {
        // SAFETY: the call checks the memory.
        unsafe { driver::Probe(address.cast_mut().cast(), length, alignment, write.into()) }
    };
    let start = memory.as_mut_ptr().cast::<u8>().cast_const();
    for write in [false, true] {
        assert_eq!(probe(start, 64, 8, write), STATUS_SUCCESS);
        let odd = start.wrapping_add(1);
        assert_eq!(probe(odd, 8, 4, write), STATUS_DATATYPE_MISALIGNMENT);
        assert_eq!(probe(start, usize::MAX, 1, write), STATUS_ACCESS_VIOLATION);
        assert_eq!(probe(ptr::null(), 0, 1, write), STATUS_SUCCESS, "nothing");
    }
    let constant = CONSTANT.as_ptr();
    assert_eq!(probe(constant, 64, 1, false), STATUS_SUCCESS);
    assert_eq!(probe(constant, 64, 1, true), STATUS_ACCESS_VIOLATION);
    assert_eq!(probe(ABSENT, 64, 1, true), STATUS_ACCESS_VIOLATION);
    // SAFETY: the block is freed only here.
    unsafe {
        let block = ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, 64, 7);
        assert_eq!(
            probe(block.cast(), 64, 1, false),
            STATUS_ACCESS_VIOLATION,
            "of the kernel"
        );
        ExFreePoolWithTag(block, 7);
    }
    kernel.shutdown();
}

#[test]
fn allocations_raise_where_they_are_told_to() {
    let kernel = Kernel::boot();
    for how in 0..3 {
        assert_eq!(driver::Allocate(how), STATUS_SUCCESS, "{how}");
        kernel.fail_nth_allocation(1);
        assert_eq!(
            driver::Allocate(how),
            STATUS_INSUFFICIENT_RESOURCES,
            "{how}"
        );
    }
    kernel.shutdown();
}

#[test]
fn a_callback_catches_what_it_raises() {
    let kernel = Kernel::boot();
    let _ = trace();
    assert_eq!(driver::CallsBack(1), STATUS_SUCCESS);
    assert_eq!(trace(), "cb");
    kernel.shutdown();
}

#[test]
fn each_thread_has_frames_of_its_own() {
    let kernel = Kernel::boot();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    // SAFETY: the memory is not touched.
                    let status = unsafe { driver::Probe(ABSENT.cast_mut().cast(), 8, 8192, 0) };
                    assert_eq!(status, STATUS_DATATYPE_MISALIGNMENT);
                }
            });
        }
    });
    kernel.shutdown();
}

// An exception that nothing catches stops with a report.

const NOT_HANDLED: &str = "KMODE_EXCEPTION_NOT_HANDLED";

#[test]
fn raised_behind_a_block_that_was_left() {
    for how in 0..6 {
        expect_bugcheck(NOT_HANDLED, || {
            let _kernel = Kernel::boot();
            driver::LeftEarlyThenRaisedOutside(how);
        })
        .tells("ExRaiseStatus raised STATUS_TIMEOUT, and nothing caught it");
    }
}

#[test]
fn no_filter_takes_it() {
    expect_bugcheck(NOT_HANDLED, || {
        let kernel = Kernel::boot();
        let mut memory = [0_u8; 64];
        let _ = choose(memory.as_mut_ptr(), 64, LOCK_OPERATION::IoReadAccess);
        kernel.fail_nth(Resource::Lock, 1);
        let _ = driver::Nested();
    })
    .tells("MmProbeAndLockPages raised STATUS_WORKING_SET_QUOTA, and nothing caught it");
}

/// The callback cannot use the frame of the function that called into the kernel: the kernel's own frames are between them.
#[test]
fn a_callback_that_its_caller_would_have_to_catch() {
    expect_bugcheck(NOT_HANDLED, || {
        let _kernel = Kernel::boot();
        let _ = driver::CallsBack(0);
    })
    .tells("ExRaiseStatus raised STATUS_CANCELLED, and nothing caught it");
}

#[test]
fn an_exception_that_is_to_be_continued() {
    expect_bugcheck(NOT_HANDLED, || {
        let _kernel = Kernel::boot();
        driver::Continues();
    })
    .tells("EXCEPTION_CONTINUE_EXECUTION");
}

#[test]
fn a_return_past_finally() {
    expect_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", || {
        let _kernel = Kernel::boot();
        let _ = driver::ReturnsPastFinally();
    })
    .tells("was left by return, goto, break or continue");
}
