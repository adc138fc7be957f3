//! Listeners: what they are told, and what becomes of one that panics.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driver::*;
use wsk_host::{Completion, IrpStep, Kernel, What};
use wsk_sys::*;

/// Opens a socket, sends itself a datagram, and closes.
fn exchange() {
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::of(b"x");
    let sent = socket.send(&buffer, Some(socket.local().unwrap()));
    assert_eq!(sent, (STATUS_SUCCESS, 1));
    buffer.free();
    socket.close();
    client.leave();
}

#[test]
#[should_panic(expected = "a socket is opened")]
fn a_panic_ends_the_test_where_the_driver_calls() {
    let kernel = Kernel::boot();
    kernel.on_event(|event| {
        if let What::Called {
            function: "WskSocket",
            ..
        } = event.what
        {
            panic!("a socket is opened");
        }
    });
    // The driver isn't disturbed: what it calls from can't unwind.
    exchange();
    kernel.shutdown();
}

#[test]
#[should_panic(expected = "an IRP is completed")]
fn a_panic_ends_the_test_where_the_kernel_is_at_work() {
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    kernel.on_event(|event| {
        if let What::Irp {
            step: IrpStep::Completed(..),
            ..
        } = event.what
        {
            panic!("an IRP is completed");
        }
    });
    exchange();
    drop(kernel);
}

#[test]
fn a_listener_that_has_panicked_is_dropped() {
    let kernel = Kernel::boot();
    let (sender, receiver) = channel::<u64>();
    let sender = Mutex::new(sender);
    kernel.on_event(move |event| {
        sender.lock().unwrap().send(event.sequence).unwrap();
        panic!("once");
    });
    exchange();
    // Who waits for a listener doesn't wait for ever.
    let told: Vec<u64> = receiver.iter().collect();
    assert_eq!(told, [1]);
    let panic = catch_unwind(AssertUnwindSafe(|| kernel.shutdown())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"once"));
    // The next kernel has nothing of it.
    let kernel = Kernel::boot();
    exchange();
    kernel.shutdown();
}

#[test]
fn another_panic_of_the_test_comes_first() {
    let panic = catch_unwind(|| {
        let kernel = Kernel::boot();
        kernel.on_event(|_| panic!("the listener"));
        exchange();
        panic!("the test");
    })
    .unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the test"));
    let kernel = Kernel::builder().patience(Duration::from_millis(50)).boot();
    kernel.shutdown();
}

#[test]
fn arguments_are_told_by_name() {
    let kernel = Kernel::boot();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Called { .. } = event.what {
            to.lock().unwrap().push(event.to_string());
        }
    });
    exchange();
    // SAFETY: the block is used by nobody.
    unsafe { ExFreePool(driver::pool(8)) };
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    for wanted in [
        "AddressFamily=AF_INET, SocketType=SOCK_DGRAM, Protocol=IPPROTO_UDP, Flags=WSK_FLAG_DATAGRAM_SOCKET",
        "WaitTimeout=WSK_INFINITE_WAIT",
        "Tag='Test'",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(wanted)),
            "{wanted}: {lines:#?}"
        );
    }
}
