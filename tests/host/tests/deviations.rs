//! Raw driver code meets a provider that does otherwise than documented.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use std::io::Write;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::time::Duration;

use driver::*;
use wsk_host::{Deviation, Kernel};
use wsk_sys::*;

fn kernel(deviation: Deviation) -> Kernel {
    Kernel::builder().deviation(deviation).boot()
}

#[test]
fn receives_are_short() {
    let kernel = kernel(Deviation::ShortReceives(NonZeroUsize::new(3).unwrap()));
    let client = Client::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = client.connected(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"abcdefgh").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let buffer = Buffer::new(8);
    for (flags, expected) in [(WSK_FLAG_WAITALL, 3), (0, 3), (WSK_FLAG_WAITALL, 2)] {
        let received = socket.receive_with(&buffer, flags);
        assert_eq!(received, (STATUS_SUCCESS, expected));
    }
    assert_eq!(&buffer.bytes()[..2], b"gh");
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn bytes_of_a_cancelled_receive_are_lost() {
    cancelled_with_bytes(Deviation::CancelLosesBytes, 0);
}

#[test]
fn bytes_of_a_cancelled_receive_are_told() {
    cancelled_with_bytes(Deviation::CancelTellsBytes, 2);
}

fn cancelled_with_bytes(deviation: Deviation, told: usize) {
    let kernel = kernel(deviation);
    let client = Client::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = client.connected(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    let buffer = Buffer::new(4);
    let call = Call::new();
    let returned = socket.start_receive(&call, buffer.all(), WSK_FLAG_WAITALL);
    assert_eq!(returned, STATUS_PENDING);
    for part in [b"a", b"b"] {
        peer.write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    call.cancel();
    assert_eq!(call.finish(), (STATUS_CANCELLED, told));
    assert_eq!(&buffer.bytes()[..2], b"ab");
    peer.write_all(b"cdefg").unwrap();
    let received = socket.receive_with(&buffer, WSK_FLAG_WAITALL);
    assert_eq!(received, (STATUS_SUCCESS, 4));
    assert_eq!(buffer.bytes(), b"cdef");
    assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 1));
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn clients_have_no_name() {
    let kernel = kernel(Deviation::NoClient);
    let client = Client::new();
    assert!(client.client().is_null());
    let socket = client.bound("127.0.0.1:0");
    assert!(socket.local().is_ok());
    socket.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn deregistering_waits_for_nothing() {
    let kernel = kernel(Deviation::DeregistersAtOnce);
    let registration = Registration::new();
    assert_eq!(registration.register(), STATUS_SUCCESS);
    let _captured = registration.capture(WSK_NO_WAIT).unwrap();
    // Without the deviation this would wait until it is taken for a deadlock.
    registration.deregister();
    kernel.shutdown();
}

#[test]
fn what_is_cancelled_goes_on() {
    let kernel = kernel(Deviation::IgnoresCancel);
    let client = Client::new();
    let socket = client.bound("127.0.0.1:0");
    let buffer = Buffer::new(8);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = client.connected(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    let call = Call::new();
    let returned = connection.start_receive(&call, buffer.all(), 0);
    assert_eq!(returned, STATUS_PENDING);
    assert_eq!(call.cancel(), 0, "no cancel routine was called");
    assert!(!call.is_done());
    peer.write_all(b"bytes").unwrap();
    assert_eq!(call.finish(), (STATUS_SUCCESS, 5));
    // Closing ends it all the same.
    let call = Call::new();
    let returned = connection.start_receive(&call, buffer.all(), 0);
    assert_eq!((returned, call.cancel()), (STATUS_PENDING, 0));
    connection.close();
    assert!(call.finish().0.is_error());
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}
