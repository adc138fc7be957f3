//! Connection sockets against ordinary TCP sockets of the host: connecting, sending, receiving, disconnecting, closing,
//! events, cancelling, failures on demand.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driver::*;
use wsk_host::testing::expect_bugcheck;
use wsk_host::{Completion, Kernel};
use wsk_sys::*;

const TCP: u32 = IPPROTO::IPPROTO_TCP.0.cast_unsigned();

/// A connected socket and its peer.
fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

#[test]
fn a_conversation() {
    each_policy(|kernel, client| {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(local).unwrap();
            let to = listener.local_addr().unwrap();
            let socket = client.bound_connection(local);
            assert_eq!(socket.remote(), Err(STATUS_INVALID_DEVICE_STATE));
            assert_eq!(socket.connect(to), STATUS_SUCCESS);
            let mut peer = accept(&listener);
            assert_eq!(socket.remote(), Ok(to));
            assert_eq!(socket.local(), Ok(peer.peer_addr().unwrap()));

            let request = Buffer::of(b"request");
            assert_eq!(socket.send(&request), (STATUS_SUCCESS, 7));
            let mut bytes = [0; 7];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"request");
            peer.write_all(b"answer").unwrap();
            let answer = Buffer::new(64);
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 6));
            assert_eq!(&answer.bytes()[..6], b"answer");

            assert_eq!(socket.disconnect(None, 0), STATUS_SUCCESS);
            assert_eq!(peer.read(&mut bytes).unwrap(), 0, "a graceful end");
            // The other direction still works.
            peer.write_all(b"more").unwrap();
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 4));
            drop(peer);
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 0));
            assert_eq!(socket.receive(&answer), (STATUS_SUCCESS, 0));
            request.free();
            answer.free();
            socket.close();
        }
        assert_eq!(kernel.counts().sockets.live, 0);
    });
}

#[test]
fn a_reset_by_the_peer() {
    each_policy(|_, client| {
        let (socket, peer) = pair(client);
        let buffer = Buffer::new(8);
        let call = Call::new();
        assert_eq!(socket.start_receive(&call, buffer.all(), 0), STATUS_PENDING);
        reset(peer);
        assert_eq!(call.finish(), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.receive(&buffer), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.send(&buffer), (STATUS_CONNECTION_RESET, 0));
        assert_eq!(socket.disconnect(None, 0), STATUS_CONNECTION_RESET);
        buffer.free();
        socket.close();
    });
}

#[test]
fn nobody_listens() {
    each_policy(|kernel, client| {
        // Bound, so that nobody else gets the port, and never listening.
        let deaf =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        deaf.bind(&local.into()).unwrap();
        let to = deaf.local_addr().unwrap().as_socket().unwrap();
        let socket = client.bound_connection("127.0.0.1:0");
        assert_eq!(socket.connect(to), STATUS_CONNECTION_REFUSED);
        let local = "127.0.0.1:0".parse().unwrap();
        assert_eq!(
            client.socket_connect(local, to).err(),
            Some(STATUS_CONNECTION_REFUSED)
        );
        assert_eq!(kernel.counts().sockets.live, 1);
        // Another attempt can succeed.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(
            socket.connect(listener.local_addr().unwrap()),
            STATUS_SUCCESS
        );
        socket.close();
    });
}

#[test]
fn one_call_makes_binds_and_connects() {
    each_policy(|_, client| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let socket = client.socket_connect(any(to), to).unwrap();
        let peer = accept(&listener);
        assert_eq!(socket.remote(), Ok(to));
        assert_eq!(socket.local(), Ok(peer.peer_addr().unwrap()));
        socket.close();
        let local = "127.0.0.1:0".parse().unwrap();
        let other = "[::1]:80".parse().unwrap();
        assert_eq!(
            client.socket_connect(local, other).err(),
            Some(STATUS_INVALID_ADDRESS)
        );
    });
}

#[test]
fn wrong_states() {
    each_policy(|_, client| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let buffer = Buffer::of(b"x");
        let socket = client.connection(AF_INET);
        assert_eq!(socket.connect(to), STATUS_INVALID_DEVICE_STATE, "not bound");
        assert_eq!(socket.bind("127.0.0.1:0".parse().unwrap()), STATUS_SUCCESS);
        assert_eq!(
            socket.bind("127.0.0.1:0".parse().unwrap()),
            STATUS_ADDRESS_ALREADY_ASSOCIATED
        );
        assert_eq!(socket.send(&buffer), (STATUS_INVALID_DEVICE_STATE, 0));
        assert_eq!(socket.receive(&buffer), (STATUS_INVALID_DEVICE_STATE, 0));
        assert_eq!(socket.disconnect(None, 0), STATUS_INVALID_DEVICE_STATE);
        assert_eq!(
            socket.events(WSK_EVENT_RECEIVE),
            STATUS_INVALID_PARAMETER,
            "no callback"
        );
        assert_eq!(
            socket.connect("[::1]:9".parse().unwrap()),
            STATUS_INVALID_ADDRESS
        );
        assert_eq!(
            socket.connect("127.0.0.1:0".parse().unwrap()),
            STATUS_INVALID_ADDRESS_COMPONENT
        );
        assert_eq!(socket.connect(to), STATUS_SUCCESS);
        assert_eq!(socket.connect(to), STATUS_CONNECTION_ACTIVE);
        assert_eq!(socket.send_with(&buffer, 4), (STATUS_NOT_SUPPORTED, 0));
        assert_eq!(
            socket.disconnect(Some(&buffer), WSK_FLAG_ABORTIVE),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(socket.disconnect(None, 0x80), STATUS_INVALID_PARAMETER);
        assert_eq!(socket.disconnect(Some(&buffer), 0), STATUS_SUCCESS);
        assert_eq!(socket.send(&buffer), (STATUS_CONNECTION_DISCONNECTED, 0));
        assert_eq!(socket.disconnect(None, 0), STATUS_CONNECTION_DISCONNECTED);
        let mut bytes = Vec::new();
        accept(&listener).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"x", "the last data of the disconnect");
        buffer.free();
        socket.close();
    });
}

#[test]
fn receives_that_wait() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        peer.set_nodelay(true).unwrap();
        let buffer = Buffer::new(8);
        let call = Call::new();
        let returned = socket.start_receive(&call, buffer.all(), WSK_FLAG_WAITALL);
        assert_eq!(returned, STATUS_PENDING);
        for part in [&b"abc"[..], b"def", b"ghi"] {
            peer.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(call.finish(), (STATUS_SUCCESS, 8));
        assert_eq!(buffer.bytes(), b"abcdefgh");
        let none = buffer.part(0, 0);
        // No bytes at all: done at once, and nothing is lost.
        let call = Call::new();
        let _ = socket.start_receive(&call, none, 0);
        assert_eq!(call.finish(), (STATUS_SUCCESS, 0));
        assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 1));
        assert_eq!(
            socket.receive_with(&buffer, WSK_FLAG_DRAIN),
            (STATUS_INVALID_PARAMETER, 0),
            "the length has to be zero"
        );
        let drain = Call::new();
        let returned = socket.start_receive(&drain, none, WSK_FLAG_DRAIN);
        assert_eq!(returned, STATUS_PENDING);
        peer.write_all(&[7; 100_000]).unwrap();
        drop(peer);
        assert_eq!(drain.finish(), (STATUS_SUCCESS, 0));
        assert_eq!(
            socket.receive_with(&buffer, WSK_FLAG_WAITALL),
            (STATUS_SUCCESS, 0)
        );
        buffer.free();
        socket.close();
    });
}

#[test]
fn an_end_within_a_receive_that_waits_for_all() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        let buffer = Buffer::new(8);
        peer.write_all(b"abc").unwrap();
        drop(peer);
        assert_eq!(
            socket.receive_with(&buffer, WSK_FLAG_WAITALL),
            (STATUS_SUCCESS, 3)
        );
        buffer.free();
        socket.close();
    });
}

#[test]
fn chains_are_gathered_and_scattered() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        let chain = Chain::of(&[b"..one", b"two", b"three.."]);
        let call = Call::new();
        let _ = socket.start_send(&call, chain.part(2, 11), WSK_FLAG_NODELAY);
        assert_eq!(call.finish(), (STATUS_SUCCESS, 11));
        let mut bytes = [0; 11];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"onetwothree");
        peer.write_all(b"ABCDEFGHIJ").unwrap();
        let call = Call::new();
        let _ = socket.start_receive(&call, chain.part(2, 11), 0);
        assert_eq!(call.finish(), (STATUS_SUCCESS, 10));
        assert_eq!(chain.bytes(), b"..ABCDEFGHIJe..");
        chain.free();
        socket.close();
    });
}

/// Bytes of which each place is known.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

#[test]
fn a_stream_stays_in_order() {
    const PIECE: usize = 40_000;
    const PIECES: usize = 40;
    for seed in 0..6 {
        let kernel = Kernel::builder()
            .completion(Completion::Seeded)
            .seed(seed)
            .backtraces(false)
            .boot();
        let client = Client::new();
        let (socket, mut peer) = pair(&client);
        let mut back = peer.try_clone().unwrap();
        std::thread::scope(|scope| {
            // A slow reader, so that the sends have to wait.
            let reader = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                let mut bytes = Vec::new();
                peer.read_to_end(&mut bytes).unwrap();
                bytes
            });
            scope.spawn(move || back.write_all(&pattern(0, PIECE * PIECES)).unwrap());
            let sends: Vec<(Call, Buffer)> = (0..PIECES)
                .map(|n| (Call::new(), Buffer::of(&pattern(n * PIECE, PIECE))))
                .collect();
            for (call, buffer) in &sends {
                let _ = socket.start_send(call, buffer.all(), 0);
            }
            let end = Call::new();
            let _ = socket.start_disconnect(&end, None, 0);
            let receives: Vec<(Call, Buffer)> = (0..PIECES)
                .map(|_| (Call::new(), Buffer::new(PIECE)))
                .collect();
            for (call, buffer) in &receives {
                let _ = socket.start_receive(call, buffer.all(), WSK_FLAG_WAITALL);
            }
            for (n, (call, buffer)) in receives.into_iter().enumerate() {
                assert_eq!(call.finish(), (STATUS_SUCCESS, PIECE));
                assert!(buffer.bytes() == pattern(n * PIECE, PIECE), "piece {n}");
                buffer.free();
            }
            for (call, buffer) in sends {
                assert_eq!(call.finish(), (STATUS_SUCCESS, PIECE));
                buffer.free();
            }
            assert_eq!(end.finish(), (STATUS_SUCCESS, 0));
            assert!(
                reader.join().unwrap() == pattern(0, PIECE * PIECES),
                "seed {seed}"
            );
        });
        socket.close();
        client.leave();
        kernel.shutdown();
    }
}

#[test]
fn cancelling_receives() {
    each_policy(|kernel, client| {
        let (socket, mut peer) = pair(client);
        let buffers = [Buffer::new(8), Buffer::new(8), Buffer::new(8)];
        let mut calls = [Call::new(), Call::new(), Call::new()];
        for (call, buffer) in calls.iter().zip(&buffers) {
            let returned = socket.start_receive(call, buffer.all(), WSK_FLAG_WAITALL);
            assert_eq!(returned, STATUS_PENDING);
        }
        assert_eq!(kernel.counts().in_flight, 3);
        // What has come for one that is cancelled goes to the next.
        peer.write_all(b"abcd").unwrap();
        std::thread::sleep(Duration::from_millis(5));
        calls[0].cancel();
        assert_eq!(calls[0].wait(), (STATUS_CANCELLED, 0));
        peer.write_all(b"efgh").unwrap();
        assert_eq!(calls[1].wait(), (STATUS_SUCCESS, 8));
        assert_eq!(buffers[1].bytes(), b"abcdefgh");
        calls[2].cancel();
        assert_eq!(calls[2].wait(), (STATUS_CANCELLED, 0));
        calls.into_iter().for_each(Call::free);
        let call = Call::new();
        call.cancel();
        assert_eq!(
            socket.start_receive(&call, buffers[0].all(), 0),
            STATUS_PENDING
        );
        assert_eq!(call.finish(), (STATUS_CANCELLED, 0));
        buffers.into_iter().for_each(Buffer::free);
        socket.close();
    });
}

/// More than the host takes while the peer doesn't read.
const TOO_MUCH: usize = 16 << 20;

#[test]
fn cancelling_sends() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        let (large, small) = (Buffer::new(TOO_MUCH), Buffer::of(b"small"));
        let (first, mut second) = (Call::new(), Call::new());
        assert_eq!(socket.start_send(&first, large.all(), 0), STATUS_PENDING);
        let returned = socket.start_send(&second, small.all(), 0);
        assert_eq!(returned, STATUS_PENDING);
        // One that hasn't begun leaves no trace.
        second.cancel();
        assert_eq!(second.wait(), (STATUS_CANCELLED, 0));
        second.free();
        let mut bytes = vec![0; TOO_MUCH];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(first.finish(), (STATUS_SUCCESS, TOO_MUCH));
        // One that has begun breaks the stream.
        let call = Call::new();
        assert_eq!(socket.start_send(&call, large.all(), 0), STATUS_PENDING);
        peer.read_exact(&mut [0; 8]).unwrap();
        call.cancel();
        assert_eq!(call.finish(), (STATUS_CANCELLED, 0));
        assert_eq!(socket.send(&small), (STATUS_CONNECTION_ABORTED, 0));
        assert!(peer.read_to_end(&mut bytes).is_err(), "a reset");
        large.free();
        small.free();
        socket.close();
    });
}

/// A listener that takes no more connections, and those that fill it.
fn full_listener() -> (socket2::Socket, Vec<socket2::Socket>, SocketAddr) {
    let make = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = make();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let to = listener.local_addr().unwrap();
    let fill: Vec<_> = (0..4)
        .map(|_| {
            let filler = make();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&to);
            filler
        })
        .collect();
    std::thread::sleep(Duration::from_millis(5));
    (listener, fill, to.as_socket().unwrap())
}

#[test]
fn connects_that_hang() {
    each_policy(|kernel, client| {
        let (_listener, _fill, to) = full_listener();
        let socket = client.bound_connection("127.0.0.1:0");
        let call = Call::new();
        assert_eq!(socket.start_connect(&call, to), STATUS_PENDING);
        std::thread::sleep(Duration::from_millis(5));
        call.cancel();
        assert_eq!(call.finish(), (STATUS_CANCELLED, 0));
        assert_eq!(socket.connect(to), STATUS_CONNECTION_ABORTED);
        socket.close();

        let socket = client.bound_connection("127.0.0.1:0");
        let call = Call::new();
        assert_eq!(socket.start_connect(&call, to), STATUS_PENDING);
        socket.close();
        assert_eq!(call.finish(), (STATUS_CANCELLED, 0));

        let socket = client.bound_connection("127.0.0.1:0");
        let call = Call::new();
        assert_eq!(socket.start_connect(&call, to), STATUS_PENDING);
        kernel.force_close_sockets();
        assert_eq!(call.finish(), (STATUS_FILE_FORCED_CLOSED, 0));
        socket.close();
        assert_eq!(kernel.counts().sockets.live, 0);
    });
}

#[test]
fn closing_with_everything_in_flight() {
    each_policy(|kernel, client| {
        let (socket, mut peer) = pair(client);
        let (large, small) = (Buffer::new(TOO_MUCH), Buffer::new(8));
        let mut calls: Vec<Call> = (0..5).map(|_| Call::new()).collect();
        for call in &calls[..2] {
            assert_eq!(socket.start_send(call, large.all(), 0), STATUS_PENDING);
        }
        assert_eq!(socket.start_disconnect(&calls[2], None, 0), STATUS_PENDING);
        for (call, offset) in calls[3..].iter().zip([0, 4]) {
            let returned = socket.start_receive(call, small.part(offset, 4), 0);
            assert_eq!(returned, STATUS_PENDING);
        }
        let mut close = Call::new();
        let _ = socket.start_close(&close);
        assert_eq!(close.wait(), (STATUS_SUCCESS, 0));
        for call in &mut calls {
            assert!(call.is_done(), "the close completes after what it cancels");
            assert_eq!(call.wait(), (STATUS_CANCELLED, 0));
        }
        calls.into_iter().for_each(Call::free);
        close.free();
        let mut bytes = Vec::new();
        assert!(peer.read_to_end(&mut bytes).is_err(), "a reset");
        large.free();
        small.free();
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn how_a_close_looks_to_the_peer() {
    each_policy(|_, client| {
        // Disconnected in both directions: nothing is reset.
        let (socket, mut peer) = pair(client);
        assert_eq!(socket.disconnect(None, 0), STATUS_SUCCESS);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let buffer = Buffer::new(8);
        assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 0));
        socket.close();
        assert!(peer.take_error().unwrap().is_none());
        // Not at all: it is aborted.
        let (socket, mut peer) = pair(client);
        socket.close();
        let error = peer.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        buffer.free();
    });
}

#[test]
fn a_graceful_disconnect_waits_for_the_peer() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        let large = Buffer::new(TOO_MUCH);
        let mut call = Call::new();
        let returned = socket.start_disconnect(&call, Some(large.all()), 0);
        assert_eq!(returned, STATUS_PENDING);
        std::thread::sleep(Duration::from_millis(20));
        assert!(!call.is_done());
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), TOO_MUCH);
        assert_eq!(call.wait(), (STATUS_SUCCESS, 0));
        call.free();
        large.free();
        socket.close();
    });
}

#[test]
fn a_graceful_disconnect_waits_for_what_the_host_has_taken() {
    each_policy(|_, client| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = socket2::Socket::from(listener);
        listener.set_recv_buffer_size(4096).unwrap();
        let listener = TcpListener::from(listener);
        let socket = client.connected(listener.local_addr().unwrap());
        let mut peer = accept(&listener);
        // The host takes it all, the peer has no room for it.
        let buffer = Buffer::new(100_000);
        assert_eq!(socket.send(&buffer), (STATUS_SUCCESS, 100_000));
        let mut call = Call::new();
        assert_eq!(socket.start_disconnect(&call, None, 0), STATUS_PENDING);
        std::thread::sleep(Duration::from_millis(20));
        assert!(!call.is_done());
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 100_000);
        assert_eq!(call.wait(), (STATUS_SUCCESS, 0));
        call.free();
        buffer.free();
        socket.close();
    });
}

#[test]
fn an_abortive_disconnect() {
    each_policy(|_, client| {
        let (socket, mut peer) = pair(client);
        let (large, small) = (Buffer::new(TOO_MUCH), Buffer::new(8));
        let (send, graceful, receive) = (Call::new(), Call::new(), Call::new());
        let _ = socket.start_send(&send, large.all(), 0);
        let _ = socket.start_disconnect(&graceful, None, 0);
        let _ = socket.start_receive(&receive, small.all(), 0);
        assert_eq!(socket.disconnect(None, WSK_FLAG_ABORTIVE), STATUS_SUCCESS);
        assert_eq!(send.finish(), (STATUS_CANCELLED, 0));
        assert_eq!(graceful.finish(), (STATUS_CANCELLED, 0));
        assert_eq!(receive.finish(), (STATUS_CONNECTION_ABORTED, 0));
        assert_eq!(socket.receive(&small), (STATUS_CONNECTION_ABORTED, 0));
        assert_eq!(socket.send(&small), (STATUS_CONNECTION_ABORTED, 0));
        let mut bytes = Vec::new();
        assert!(peer.read_to_end(&mut bytes).is_err(), "a reset");
        large.free();
        small.free();
        socket.close();
    });
}

#[test]
fn sockets_forced_closed() {
    each_policy(|kernel, client| {
        let (socket, mut peer) = pair(client);
        let (large, small) = (Buffer::new(TOO_MUCH), Buffer::new(8));
        let (send, receive) = (Call::new(), Call::new());
        let _ = socket.start_send(&send, large.all(), 0);
        let _ = socket.start_receive(&receive, small.all(), 0);
        kernel.force_close_sockets();
        assert_eq!(send.finish(), (STATUS_FILE_FORCED_CLOSED, 0));
        assert_eq!(receive.finish(), (STATUS_FILE_FORCED_CLOSED, 0));
        assert_eq!(socket.send(&small), (STATUS_FILE_FORCED_CLOSED, 0));
        assert_eq!(socket.receive(&small), (STATUS_FILE_FORCED_CLOSED, 0));
        assert_eq!(socket.disconnect(None, 0), STATUS_FILE_FORCED_CLOSED);
        assert_eq!(socket.remote(), Err(STATUS_FILE_FORCED_CLOSED));
        let _ = peer.read_to_end(&mut Vec::new());
        large.free();
        small.free();
        socket.close();
    });
}

#[test]
fn planned_failures() {
    let kernel = Kernel::boot();
    let client = Client::new();
    let (socket, mut peer) = pair(&client);
    peer.write_all(b"x").unwrap();
    let buffer = Buffer::new(8);
    kernel.fail_nth_call(1);
    assert_eq!(socket.send(&buffer), (STATUS_INSUFFICIENT_RESOURCES, 0));
    kernel.fail_nth_call(1);
    assert_eq!(socket.receive(&buffer), (STATUS_INSUFFICIENT_RESOURCES, 0));
    kernel.fail_nth_call(1);
    assert_eq!(socket.disconnect(None, 0), STATUS_INSUFFICIENT_RESOURCES);
    assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 1));
    assert_eq!(socket.send(&buffer), (STATUS_SUCCESS, 8));
    let other = client.bound_connection("127.0.0.1:0");
    let to = socket.remote().unwrap();
    kernel.fail_nth_call(1);
    assert_eq!(other.connect(to), STATUS_INSUFFICIENT_RESOURCES);
    kernel.fail_nth_call(1);
    assert_eq!(
        client
            .socket_connect("127.0.0.1:0".parse().unwrap(), to)
            .err(),
        Some(STATUS_INSUFFICIENT_RESOURCES)
    );
    buffer.free();
    socket.close();
    other.close();
    client.leave();
    kernel.shutdown();
}

#[test]
fn newer_functions() {
    each_policy(|_, client| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let buffer = Buffer::of(b"at once");
        let socket = client.bound_connection("127.0.0.1:0");
        assert_eq!(
            socket.connect_and_send(to, buffer.all()),
            (STATUS_SUCCESS, 7)
        );
        let mut peer = accept(&listener);
        let mut bytes = [0; 7];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"at once");

        assert_eq!(socket.send_ex(buffer.all()), (STATUS_SUCCESS, 7));
        peer.read_exact(&mut bytes).unwrap();
        peer.write_all(b"back").unwrap();
        assert_eq!(socket.receive_ex(buffer.all()), ((STATUS_SUCCESS, 4), 0));
        socket.close();

        let large = Buffer::new(65_536);
        let socket = client.bound_connection("127.0.0.1:0");
        assert_eq!(
            socket.connect_and_send(to, large.all()),
            (STATUS_BUFFER_OVERFLOW, 0)
        );
        socket.close();
        large.free();
        buffer.free();
    });
}

/// Asks for a number with an IRP.
fn query(socket: &Connection, code: u32) -> (NTSTATUS, usize) {
    let mut value = 0_usize.to_ne_bytes();
    let ioctl = WSK_CONTROL_SOCKET_TYPE::WskIoctl;
    let status = socket.control_by_irp(ioctl, 0, code, &mut [], &mut value);
    (status, usize::from_ne_bytes(value))
}

#[test]
fn options_and_queries() {
    each_policy(|_, client| {
        let unconnected = client.bound_connection("127.0.0.1:0");
        assert_eq!(
            query(&unconnected, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG).0,
            STATUS_INVALID_DEVICE_STATE
        );
        unconnected.close();
        let (socket, mut peer) = pair(client);
        for (level, code, value) in [
            (TCP, TCP_NODELAY, 1),
            (TCP, TCP_KEEPIDLE, 77),
            (TCP, TCP_KEEPINTVL, 7),
            (TCP, TCP_KEEPCNT, 5),
            (TCP, TCP_FASTOPEN, 1),
            (SOL_SOCKET, SO_KEEPALIVE, 1),
            (SOL_SOCKET, SO_SNDBUF, 50_000),
            (IPPROTO_IP, IP_TTL, 33),
        ] {
            assert!(socket.get_option(level, code).is_ok(), "{level} {code}");
            assert_eq!(
                socket.set_option(level, code, value),
                STATUS_SUCCESS,
                "{level} {code}"
            );
            assert_eq!(socket.get_option(level, code), Ok(value), "{level} {code}");
        }
        assert_eq!(
            socket.get_option(SOL_SOCKET, SO_TYPE),
            Ok(u32::from(SOCK_STREAM))
        );
        assert_eq!(socket.set_option(TCP, 0x777, 1), STATUS_NOT_SUPPORTED);
        let datagrams = client.socket(AF_INET);
        assert_eq!(
            datagrams.set_option(TCP, TCP_NODELAY, 1),
            STATUS_NOT_SUPPORTED
        );
        datagrams.close();
        let (status, ideal) = query(&socket, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG);
        assert_eq!(status, STATUS_SUCCESS);
        assert!(ideal > 0);
        assert_eq!(
            query(&socket, SIO_WSK_QUERY_RECEIVE_BACKLOG),
            (STATUS_SUCCESS, 0)
        );
        peer.write_all(b"12345").unwrap();
        wait_until("a backlog", || {
            query(&socket, SIO_WSK_QUERY_RECEIVE_BACKLOG) == (STATUS_SUCCESS, 5)
        });
        let buffer = Buffer::new(8);
        assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 5));
        buffer.free();
        assert_eq!(
            query(&socket, SIO_WSK_SET_REMOTE_ADDRESS).0,
            STATUS_NOT_SUPPORTED
        );
        socket.close();
    });
}

#[test]
fn the_null_provider_completes_at_once() {
    let kernel = Kernel::builder().null_provider().boot();
    let client = Client::new();
    let socket = client.connected("127.0.0.1:9".parse().unwrap());
    let buffer = Buffer::new(100);
    for _ in 0..10 {
        assert_eq!(socket.send(&buffer), (STATUS_SUCCESS, 100));
        assert_eq!(socket.receive(&buffer), (STATUS_SUCCESS, 100));
    }
    assert_eq!(socket.disconnect(None, 0), STATUS_SUCCESS);
    buffer.free();
    socket.close();
    client.leave();
    kernel.shutdown();
}

/// What the callbacks of a connection have seen, and what they answer.
#[derive(Default)]
struct Seen {
    data: Mutex<Vec<u8>>,
    calls: AtomicUsize,
    answer: AtomicI32,
    /// How many bytes of each indication are accepted; all when zero.
    accepts: AtomicUsize,
    retained: Mutex<Vec<usize>>,
    ends: Mutex<Vec<u32>>,
    dead: AtomicUsize,
    slow: AtomicU64,
}

impl Seen {
    /// Leaked: a callback may be late.
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn callbacks(&'static self) -> Callbacks<WSK_CLIENT_CONNECTION_DISPATCH> {
        // SAFETY: `received` and `disconnected` are the callbacks, and take their context for this type.
        unsafe { Callbacks::new(self, &TABLE) }
    }

    fn answer(&self, status: NTSTATUS) {
        self.answer.store(status.0, Ordering::SeqCst);
    }

    /// Waits for data, all of it so far.
    fn wait_for(&self, expected: &[u8]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut data = self.data.lock().unwrap();
            if *data == expected {
                data.clear();
                return;
            }
            assert!(Instant::now() < deadline, "{:?}", data.as_slice());
            drop(data);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

unsafe extern "system" fn received(
    context: *mut c_void,
    flags: u32,
    list: *mut WSK_DATA_INDICATION,
    indicated: usize,
    accepted: *mut usize,
) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    assert_eq!(flags, u32::from(WSK_FLAG_AT_DISPATCH_LEVEL));
    assert_eq!(wsk_host::current_irql(), wsk_host::DISPATCH_LEVEL);
    if list.is_null() {
        seen.dead.fetch_add(1, Ordering::SeqCst);
        return STATUS_SUCCESS;
    }
    // SAFETY: the kernel tells a list, and a place for how much of it is accepted.
    let (bytes, accepted) = unsafe { (indicated_bytes(list), &mut *accepted) };
    assert_eq!(bytes.len(), indicated);
    assert_eq!(*accepted, indicated);
    let answer = NTSTATUS(seen.answer.load(Ordering::SeqCst));
    let accepts = seen.accepts.load(Ordering::SeqCst);
    let length = match answer {
        STATUS_DATA_NOT_ACCEPTED => 0,
        STATUS_SUCCESS if accepts > 0 => {
            *accepted = accepts;
            accepts
        }
        _ => indicated,
    };
    seen.data
        .lock()
        .unwrap()
        .extend(&bytes[..length.min(indicated)]);
    if answer == STATUS_PENDING {
        seen.retained.lock().unwrap().push(list.expose_provenance());
    }
    seen.calls.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(seen.slow.load(Ordering::SeqCst)));
    answer
}

unsafe extern "system" fn disconnected(context: *mut c_void, flags: u32) -> NTSTATUS {
    // SAFETY: the context of every socket with `TABLE`, see `Seen::callbacks`.
    let seen: &Seen = unsafe { &*context.cast() };
    seen.ends.lock().unwrap().push(flags);
    STATUS_SUCCESS
}

static TABLE: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(received),
    WskDisconnectEvent: Some(disconnected),
    WskSendBacklogEvent: None,
};

#[test]
fn receive_events() {
    each_policy(|_, client| {
        let seen = Seen::new();
        let (socket, mut peer) = pair_with(client, seen.callbacks());
        peer.set_nodelay(true).unwrap();
        assert_eq!(
            socket.events(WSK_EVENT_RECEIVE_FROM),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            socket.events(WSK_EVENT_SEND_BACKLOG),
            STATUS_INVALID_PARAMETER,
            "no callback"
        );
        // What has arrived before is indicated too.
        peer.write_all(b"early").unwrap();
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        seen.wait_for(b"early");
        // More than a segment.
        peer.write_all(&pattern(0, 200_000)).unwrap();
        seen.wait_for(&pattern(0, 200_000));

        // A part accepted: the rest waits for a WskReceive.
        seen.accepts.store(2, Ordering::SeqCst);
        peer.write_all(b"partly").unwrap();
        seen.wait_for(b"pa");
        seen.accepts.store(0, Ordering::SeqCst);
        peer.write_all(b" more").unwrap();
        std::thread::sleep(Duration::from_millis(10));
        assert!(seen.data.lock().unwrap().is_empty());
        let two = Buffer::new(2);
        assert_eq!(socket.receive(&two), (STATUS_SUCCESS, 2));
        assert_eq!(two.bytes(), b"rt");
        seen.wait_for(b"ly more");

        // Nothing accepted: a WskReceive of no bytes lets it go on.
        seen.answer(STATUS_DATA_NOT_ACCEPTED);
        let before = seen.calls.load(Ordering::SeqCst);
        peer.write_all(b"unwelcome").unwrap();
        wait_until("a call", || seen.calls.load(Ordering::SeqCst) > before);
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(seen.calls.load(Ordering::SeqCst), before + 1);
        seen.answer(STATUS_SUCCESS);
        // The callback that refused may return only after it.
        wait_until("data", || {
            let call = Call::new();
            let _ = socket.start_receive(&call, two.part(0, 0), 0);
            assert_eq!(call.finish(), (STATUS_SUCCESS, 0));
            !seen.data.lock().unwrap().is_empty()
        });
        seen.wait_for(b"unwelcome");

        // Retained indications stay until they are released, while others come.
        seen.answer(STATUS_PENDING);
        peer.write_all(b"kept").unwrap();
        seen.wait_for(b"kept");
        seen.answer(STATUS_SUCCESS);
        peer.write_all(b"next").unwrap();
        seen.wait_for(b"next");
        for list in seen.retained.lock().unwrap().drain(..) {
            let list: *mut WSK_DATA_INDICATION = ptr::with_exposed_provenance_mut(list);
            // SAFETY: it is retained until it is released, below.
            assert_eq!(unsafe { indicated_bytes(list) }, b"kept");
            assert_eq!(socket.release(list), STATUS_SUCCESS);
        }

        // A pending receive goes before the callback.
        let call = Call::new();
        assert_eq!(socket.start_receive(&call, two.all(), 0), STATUS_PENDING);
        peer.write_all(b"me").unwrap();
        assert_eq!(call.finish(), (STATUS_SUCCESS, 2));
        assert!(seen.data.lock().unwrap().is_empty());
        // Disabled, data waits.
        assert!(
            socket
                .events(WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE)
                .is_success()
        );
        peer.write_all(b"later").unwrap();
        std::thread::sleep(Duration::from_millis(10));
        assert!(seen.data.lock().unwrap().is_empty());
        assert_eq!(
            socket.receive_with(&two, WSK_FLAG_WAITALL),
            (STATUS_SUCCESS, 2)
        );
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        seen.wait_for(b"ter");
        two.free();
        socket.close();
    });
}

#[test]
fn disconnect_events() {
    each_policy(|_, client| {
        let dispatch = u32::from(WSK_FLAG_AT_DISPATCH_LEVEL);
        let seen = Seen::new();
        let (socket, mut peer) = pair_with(client, seen.callbacks());
        let events = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT;
        assert_eq!(socket.events(events), STATUS_SUCCESS);
        peer.write_all(b"last words").unwrap();
        drop(peer);
        wait_until("the end", || !seen.ends.lock().unwrap().is_empty());
        assert_eq!(*seen.ends.lock().unwrap(), [dispatch]);
        seen.wait_for(b"last words");
        // The other direction isn't over.
        assert_eq!(socket.disconnect(None, 0), STATUS_SUCCESS);
        socket.close();
        assert_eq!(seen.ends.lock().unwrap().len(), 1, "told once");

        let seen = Seen::new();
        let (socket, peer) = pair_with(client, seen.callbacks());
        assert_eq!(socket.events(WSK_EVENT_DISCONNECT), STATUS_SUCCESS);
        reset(peer);
        wait_until("the end", || !seen.ends.lock().unwrap().is_empty());
        assert_eq!(*seen.ends.lock().unwrap(), [dispatch | WSK_FLAG_ABORTIVE]);
        socket.close();

        // Behind data that nobody reads a graceful end isn't seen, a reset is.
        let seen = Seen::new();
        let (socket, mut peer) = pair_with(client, seen.callbacks());
        assert_eq!(socket.events(WSK_EVENT_DISCONNECT), STATUS_SUCCESS);
        peer.write_all(b"unread").unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(seen.ends.lock().unwrap().is_empty());
        reset(peer);
        wait_until("the end", || !seen.ends.lock().unwrap().is_empty());
        assert_eq!(*seen.ends.lock().unwrap(), [dispatch | WSK_FLAG_ABORTIVE]);
        socket.close();
    });
}

#[test]
fn disabling_and_closing_wait_for_a_callback() {
    each_policy(|_, client| {
        let seen = Seen::new();
        seen.slow.store(50, Ordering::SeqCst);
        let (socket, mut peer) = pair_with(client, seen.callbacks());
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(b"slow").unwrap();
        seen.wait_for(b"slow");
        assert_eq!(
            socket.events(WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE),
            STATUS_EVENT_PENDING
        );
        let mut close = Call::new();
        assert_eq!(socket.start_close(&close), STATUS_PENDING);
        assert!(!close.is_done());
        assert_eq!(close.wait(), (STATUS_SUCCESS, 0));
        close.free();
    });
}

#[test]
fn forcing_closed_tells_the_callback() {
    each_policy(|kernel, client| {
        let seen = Seen::new();
        let (socket, _peer) = pair_with(client, seen.callbacks());
        assert_eq!(socket.events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        kernel.force_close_sockets();
        socket.close();
        assert_eq!(seen.dead.load(Ordering::SeqCst), 1);
        assert!(seen.ends.lock().unwrap().is_empty());
    });
}

// What the judges see.

#[test]
fn data_written_while_it_is_sent() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (socket, mut peer) = pair(&Client::new());
        let large = Buffer::new(TOO_MUCH);
        let call = Call::new();
        let _ = socket.start_send(&call, large.all(), 0);
        // SAFETY: it is the last byte of the block. Writing it in flight breaks the rule: the host's socket may send
        // the old value or the new one, and the kernel sees the difference.
        unsafe { large.memory().add(TOO_MUCH - 1).write_volatile(1) };
        let _ = peer.read_exact(&mut vec![0; TOO_MUCH]);
        let _ = call.finish();
    })
    .tells("WskSend was written before the IRP was completed");
}

#[test]
fn data_freed_while_it_is_sent() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let (socket, _peer) = pair(&Client::new());
        let large = Buffer::new(TOO_MUCH);
        let call = Call::new();
        let _ = socket.start_send(&call, large.all(), 0);
        // SAFETY: breaks the rule; the kernel knows that the call uses the block, and stops before it is freed.
        unsafe { ExFreePool(large.memory().cast()) };
    })
    .tells("data of a call in flight (WskSend)");
}

#[test]
fn room_freed_while_it_is_received_into() {
    expect_bugcheck(FREED, || {
        let _kernel = Kernel::boot();
        let (socket, _peer) = pair(&Client::new());
        let buffer = Buffer::new(64);
        let _ = socket.start_receive(&Call::new(), buffer.all(), 0);
        // SAFETY: breaks the rule; the kernel knows that the call uses the block, and stops before it is freed.
        unsafe { ExFreePool(buffer.memory().cast()) };
    })
    .tells("data of a call in flight (WskReceive)");
}

#[test]
fn last_data_written_while_disconnecting() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let (socket, mut peer) = pair(&Client::new());
        let large = Buffer::new(TOO_MUCH);
        let call = Call::new();
        let _ = socket.start_disconnect(&call, Some(large.all()), 0);
        // SAFETY: it is the last byte of the block. Writing it in flight breaks the rule: the host's socket may send
        // the old value or the new one, and the kernel sees the difference.
        unsafe { large.memory().add(TOO_MUCH - 1).write_volatile(1) };
        let _ = peer.read_to_end(&mut Vec::new());
        let _ = call.finish();
    })
    .tells("WskDisconnect was written before the IRP was completed");
}

fn indicated(seen: &'static Seen) -> Connection {
    let client = Client::new();
    let (socket, mut peer) = pair_with(&client, seen.callbacks());
    let _ = socket.events(WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT);
    peer.write_all(b"indicated").unwrap();
    wait_until("an indication", || seen.calls.load(Ordering::SeqCst) > 0);
    std::thread::sleep(Duration::from_millis(20));
    core::mem::forget((client, peer));
    socket
}

#[test]
fn more_accepted_than_indicated() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let seen = Seen::new();
        seen.accepts.store(10, Ordering::SeqCst);
        let _ = indicated(seen);
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskReceiveEvent set BytesAccepted to more than it was given");
}

#[test]
fn wrong_answer_to_a_receive_event() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let seen = Seen::new();
        seen.answer(STATUS_UNSUCCESSFUL);
        let _ = indicated(seen);
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskReceiveEvent returned something else than");
}

#[test]
fn wrong_answer_to_a_disconnect_event() {
    unsafe extern "system" fn wrong(_context: *mut c_void, _flags: u32) -> NTSTATUS {
        STATUS_PENDING
    }
    static WRONG: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
        WskReceiveEvent: None,
        WskDisconnectEvent: Some(wrong),
        WskSendBacklogEvent: None,
    };
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        // SAFETY: the callback doesn't look at its context.
        let callbacks = unsafe { Callbacks::new(&(), &WRONG) };
        let socket = client.connected_with(to, callbacks);
        let _ = socket.events(WSK_EVENT_DISCONNECT);
        drop(accept(&listener));
        std::thread::sleep(Duration::from_secs(50));
    })
    .tells("WskDisconnectEvent returned something else than STATUS_SUCCESS");
}

#[test]
fn indications_retained_when_closing() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let seen = Seen::new();
        seen.answer(STATUS_PENDING);
        let socket = indicated(seen);
        socket.disable_events(WSK_EVENT_RECEIVE);
        let _ = socket.start_close(&Call::new());
    })
    .tells("while indications are retained")
    .tells("WskReceiveEvent");
}

#[test]
fn indication_released_twice() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let seen = Seen::new();
        seen.answer(STATUS_PENDING);
        let socket = indicated(seen);
        let list = seen.retained.lock().unwrap()[0];
        let list: *mut WSK_DATA_INDICATION = ptr::with_exposed_provenance_mut(list);
        let _ = socket.release(list);
        let _ = socket.release(list);
    })
    .tells("WskRelease was called for an indication that isn't one");
}

#[test]
fn datagram_socket_taken_for_a_connection() {
    expect_bugcheck(VERIFIER, || {
        let _kernel = Kernel::boot();
        let client = Client::new();
        let datagrams = client.socket(AF_INET);
        let connection = client.connection(AF_INET);
        let buffer = Buffer::new(8);
        let _ = connection
            .taken_for(datagrams.raw())
            .start_send(&Call::new(), buffer.all(), 0);
    })
    .tells("WskSend was called for a socket of another category");
}
