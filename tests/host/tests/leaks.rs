//! What a driver leaves behind is listed when the kernel is shut down.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use driver::*;
use wsk_host::Kernel;
use wsk_sys::*;

/// What is left when `body` has run; the kernel doesn't wait long for it.
fn left_by<T>(body: impl FnOnce() -> T) -> Vec<String> {
    let kernel = Kernel::builder().patience(Duration::from_millis(50)).boot();
    let kept = body();
    let leaks = kernel
        .finish()
        .err()
        .map(|leaks| leaks.entries().to_vec())
        .unwrap_or_default();
    drop(kept);
    leaks
}

#[track_caller]
fn assert_leak(leaks: &[String], texts: &[&str]) {
    let found = leaks
        .iter()
        .any(|leak| texts.iter().all(|text| leak.contains(text)));
    assert!(found, "no leak has all of {texts:?}:\n{}", leaks.join("\n"));
}

#[test]
fn nothing() {
    let leaks = left_by(|| {
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::of(b"x");
        let _ = socket.send(&buffer, Some(socket.local().unwrap()));
        buffer.free();
        socket.close();
        client.leave();
    });
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn pool() {
    let leaks = left_by(|| driver::pool(100));
    assert_leak(
        &leaks,
        &[
            "nonpaged pool",
            "100 bytes",
            "tag 'Test'",
            "ExAllocatePoolWithTag",
            "leaks::pool",
        ],
    );
    assert_eq!(leaks.len(), 1);
}

#[test]
fn the_first_frame_is_the_drivers() {
    let leaks = left_by(|| (driver::pool(8), allocate_irp(1), mdl_of(driver::pool(8), 8)));
    assert!(leaks.len() >= 4, "{leaks:?}");
    for leak in &leaks {
        let mut lines = leak.lines();
        lines.find(|line| line.trim_start().starts_with("allocated by"));
        let (first, place) = (lines.next().unwrap(), lines.next().unwrap());
        // What the optimiser has put into its caller has a name without the path.
        let inlined = ["pool", "allocate_irp", "mdl_of"].contains(&first.trim_start());
        let named = inlined || first.trim_start().starts_with("leaks::");
        assert!(named && place.contains("tests"), "{first}\n{place}");
        let places = leak.replace('\\', "/");
        let own = ["origin.rs", "pool", "irp", "testing"].map(|own| format!("src/{own}"));
        assert!(!own.iter().any(|own| places.contains(own)), "{leak}");
    }
}

#[test]
fn irps_and_mdls() {
    let leaks = left_by(|| {
        let mut memory = 0_u64;
        (allocate_irp(1), mdl_of((&raw mut memory).cast(), 8))
    });
    assert_leak(&leaks, &["IRP at", "IoAllocateIrp", "leaks::irps_and_mdls"]);
    assert_leak(&leaks, &["MDL at", "IoAllocateMdl", "leaks::irps_and_mdls"]);
    assert_eq!(leaks.len(), 2);
}

#[test]
fn locked_pages() {
    let mut memory = [0_u64; 4];
    let leaks = left_by(|| {
        let mdl = mdl_of(memory.as_mut_ptr().cast(), 32);
        // SAFETY: the MDL is new, and the memory outlives the kernel.
        unsafe { MmProbeAndLockPages(mdl, 0, LOCK_OPERATION::IoReadAccess) };
    });
    assert_leak(
        &leaks,
        &[
            "locked pages of the MDL",
            "MmProbeAndLockPages",
            "leaks::locked_pages",
        ],
    );
}

#[test]
fn sockets_and_registrations() {
    let leaks = left_by(|| {
        let client = Client::new();
        client.socket(AF_INET);
        client
    });
    assert_leak(&leaks, &["socket#1", "was never closed", "WskSocket"]);
    assert_leak(&leaks, &["WSK registration", "1 captures", "WskRegister"]);
}

#[test]
fn calls_in_flight() {
    let leaks = left_by(|| {
        let client = Client::new();
        let socket = client.bound("127.0.0.1:0");
        let buffer = Buffer::new(8);
        let call = Call::new();
        assert_eq!(socket.start_receive(&call, buffer.all()), STATUS_PENDING);
        (client, buffer, call)
    });
    assert_leak(&leaks, &["in flight: WskReceiveFrom", "marked pending"]);
}

#[test]
fn handles_threads_and_timers() {
    unsafe extern "system" fn nothing(_context: *mut c_void) {}
    let timer: *mut KTIMER = Box::leak(Box::default());
    let leaks = left_by(|| {
        let hour = LARGE_INTEGER {
            QuadPart: -36_000_000_000,
        };
        // SAFETY: the routine doesn't look at its context. The timer is never freed, and has no DPC.
        unsafe {
            start_thread(nothing, ptr::null_mut());
            KeInitializeTimerEx(timer, TIMER_TYPE::NotificationTimer);
            KeSetTimer(timer, hour, ptr::null_mut());
        }
    });
    assert_leak(&leaks, &["handle", "of a system thread"]);
    assert_leak(
        &leaks,
        &["system thread at", "leaks::handles_threads_and_timers"],
    );
    assert_leak(&leaks, &["timer at", "still set"]);
}

#[test]
fn a_thread_that_outlives_the_kernel() {
    unsafe extern "system" fn sleeps(_context: *mut c_void) {
        std::thread::sleep(Duration::from_millis(1_000));
    }
    let leaks = left_by(|| {
        // SAFETY: the routine doesn't look at its context.
        let handle = unsafe { start_thread(sleeps, ptr::null_mut()) };
        assert_eq!(close_handle(handle), STATUS_SUCCESS);
    });
    assert_leak(&leaks, &["system thread at", "with 1 references"]);
    assert_eq!(leaks.len(), 1);
    // Its end does no harm to the next kernel.
    let kernel = Kernel::boot();
    std::thread::sleep(Duration::from_millis(1_200));
    kernel.shutdown();
}

#[test]
fn shutting_down_panics_with_the_list() {
    for by_drop in [false, true] {
        let kernel = Kernel::boot();
        let _irp = allocate_irp(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            if by_drop {
                drop(kernel)
            } else {
                kernel.shutdown()
            }
        }));
        let message = panicked.unwrap_err().downcast::<String>().unwrap();
        assert!(
            message.contains("1 left behind:") && message.contains("IoAllocateIrp"),
            "{message}"
        );
    }
}

#[test]
fn a_panic_goes_before_a_leak() {
    let panicked = catch_unwind(|| {
        let _kernel = Kernel::boot();
        let _irp = allocate_irp(1);
        panic!("the first");
    });
    assert_eq!(
        *panicked.unwrap_err().downcast::<&str>().unwrap(),
        "the first"
    );
    // The next kernel starts clean.
    let kernel = Kernel::boot();
    assert_eq!(kernel.counts(), wsk_host::Counts::default());
    kernel.shutdown();
}
