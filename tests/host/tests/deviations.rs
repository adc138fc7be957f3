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

/// Receives a byte, with time to live 9 if the transport reports that, and room for `room` bytes of control information. Returns the
/// length that the provider reports.
fn control_length(deviation: Option<Deviation>, has_control: bool, room: usize) -> usize {
    let mut told = [0_u64; 3];
    let header = CMSGHDR {
        cmsg_len: size_of::<CMSGHDR>() + 4,
        cmsg_level: IPPROTO_IP as i32,
        cmsg_type: IP_TTL as i32,
    };
    // SAFETY: there is room for the header.
    unsafe { told.as_mut_ptr().cast::<CMSGHDR>().write(header) };
    told[2] = 9;
    let told: Vec<u8> = told.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut builder = Kernel::builder();
    if has_control {
        builder = builder.control_on_connections(&told);
    }
    let kernel = deviation
        .into_iter()
        .fold(builder, |b, d| b.deviation(d))
        .boot();
    let client = Client::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = client.connected(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"a").unwrap();
    let buffer = Buffer::new(1);
    let mut control = [0; 64];
    let received = socket.receive_with_control(buffer.all(), &mut control[..room]);
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
    let (outcome, length) = received;
    assert_eq!(outcome, (STATUS_SUCCESS, 1));
    length
}

#[test]
fn the_length_of_control_information_is_left_or_overstated() {
    let leaves = Some(Deviation::LeavesControlLength);
    let overstates = Some(Deviation::OverstatesControlLength);
    assert_eq!(control_length(None, false, 64), 0);
    assert_eq!(control_length(leaves, false, 64), 64);
    assert_eq!(control_length(leaves, true, 64), 24);
    assert_eq!(control_length(None, true, 16), 0);
    assert_eq!(control_length(overstates, true, 16), 24);
}
