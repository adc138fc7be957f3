//! Connection sockets on the host kernel, with the host's own TCP sockets as peers: each operation with each finisher, and what
//! can happen to a connection meanwhile.

use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use wsk::operation::{NotConnected, Operations};
use wsk::request::{Connecting, Operation, Way};
use wsk::{
    BufferPool, ConnectedSocket, ConnectionSocket, Control, Error, Family, NonPagedBuffer,
    Provider, Registration,
};
use wsk_host::{DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::{
    STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET,
};

use crate::setting::{
    Counted, FAST, LOOPBACK, MOMENT, PATIENCE, block_on, client, deaf, is_reset, seeded_kernels,
    until,
};

/// A driver, and a listener of the host that the driver connects to. Fields are dropped in this order, as a driver unloads.
pub(crate) struct Setting {
    pub(crate) provider: Provider,
    pub(crate) registration: Registration,
    pub(crate) listener: TcpListener,
    pub(crate) remote: SocketAddr,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let (registration, provider) = client();
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let remote = listener.local_addr().unwrap();
        Self {
            provider,
            registration,
            listener,
            remote,
        }
    }

    /// A socket that is bound and can be connected.
    pub(crate) fn bound(&self) -> ConnectionSocket {
        let socket = ConnectionSocket::open(&self.provider, Family::V4).unwrap();
        socket.bind(address(LOOPBACK)).unwrap();
        socket
    }

    /// Both ends of a connection.
    pub(crate) fn connection(&self) -> (ConnectedSocket, TcpStream) {
        let socket = ConnectedSocket::connect(&self.provider, self.remote)
            .wait()
            .unwrap();
        let (peer, _) = self.listener.accept().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.set_write_timeout(Some(PATIENCE)).unwrap();
        (socket, peer)
    }
}

pub(crate) fn on_each_kernel(test: impl Fn(&Kernel, &Setting)) {
    for kernel in seeded_kernels() {
        let setting = Setting::new();
        test(&kernel, &setting);
        drop(setting);
        kernel.shutdown();
    }
}

/// The reason why a socket was not connected, and the socket.
fn not_connected<T: std::fmt::Debug>(result: Result<T, NotConnected>) -> (Error, ConnectionSocket) {
    let NotConnected { error, socket } = result.unwrap_err();
    (error, socket.unwrap())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn exactly(peer: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_connection_is_made_step_by_step_or_at_once() {
    on_each_kernel(|_, s| {
        let socket = s.bound();
        let local = socket.local_address().unwrap();
        let socket = socket.connect(s.remote).wait().unwrap();
        let (_peer, from) = s.listener.accept().unwrap();
        assert_eq!(from, local);
        assert_eq!(socket.local_address().unwrap(), local);
        assert_eq!(socket.remote_address().unwrap(), s.remote);
        socket.close().unwrap();

        let socket = ConnectedSocket::connect(&s.provider, s.remote)
            .wait_timeout(PATIENCE)
            .unwrap();
        let (_peer, from) = s.listener.accept().unwrap();
        assert_eq!(socket.local_address().unwrap(), from);
        assert_eq!(socket.remote_address().unwrap(), s.remote);
        socket.close().unwrap();
    });
}

#[test]
fn a_connection_is_made_by_operations_that_own_the_socket() {
    on_each_kernel(|_, s| {
        let socket = s.bound();
        let connect = socket.connect(s.remote).start().unwrap();
        let socket = connect.wait().unwrap().unwrap();
        assert_eq!(socket.remote_address().unwrap(), s.remote);
        drop(socket);

        let open = ConnectedSocket::connect(&s.provider, s.remote).start();
        let socket = block_on(open.unwrap());
        assert_eq!(socket.unwrap().remote_address().unwrap(), s.remote);

        // Dropping the handle closes the socket.
        let socket = s.bound();
        drop(socket.connect(s.remote).start().unwrap());
        drop(
            ConnectedSocket::connect(&s.provider, s.remote)
                .start()
                .unwrap(),
        );
    });
}

#[test]
fn a_refused_connection_gives_the_socket_back() {
    on_each_kernel(|_, s| {
        let (_deaf, nobody) = deaf();
        let refused = |(error, socket): (Error, ConnectionSocket)| {
            assert_eq!(error.status(), Some(STATUS_CONNECTION_REFUSED));
            socket.close().unwrap();
        };
        refused(not_connected(s.bound().connect(nobody).wait()));
        let connect = s.bound().connect(nobody);
        refused(not_connected(connect.wait_timeout(PATIENCE)));
        let connect = s.bound().connect(nobody).start().unwrap();
        refused(not_connected(connect.wait().unwrap()));
        let connect = s.bound().connect(nobody);
        refused(not_connected(block_on(connect.into_future())));
        let connect = s.bound().connect(nobody);
        let scoped = wsk::scope(|scope| connect.start_in(scope).unwrap().wait());
        refused(not_connected(scoped.unwrap()));
        let operations = Operations::new(&s.provider, 1).unwrap();
        let connect = s.bound().connect(nobody).from(&operations);
        let connect = connect.start().unwrap();
        refused(not_connected(connect.wait().unwrap()));
        let (sender, told) = channel();
        let connect = s.bound().connect(nobody);
        let tell = move |connected| drop(sender.send(connected));
        connect.start_with(tell).unwrap();
        refused(not_connected(told.recv_timeout(PATIENCE).unwrap()));

        let error = ConnectedSocket::connect(&s.provider, nobody)
            .wait()
            .unwrap_err();
        assert_eq!(error.status(), Some(STATUS_CONNECTION_REFUSED));
        let open = ConnectedSocket::connect(&s.provider, nobody)
            .start()
            .unwrap();
        let error = open.wait().unwrap().unwrap_err();
        assert_eq!(error.status(), Some(STATUS_CONNECTION_REFUSED));
    });
}

/// If the request itself is wrong, nothing is called, whatever the finisher, and the socket can still be connected.
#[test]
fn a_wrong_connection_gives_the_socket_back() {
    on_each_kernel(|kernel, s| {
        let calls = kernel.counts().calls;
        let socket = s.bound();
        let port_zero = address("127.0.0.1:0");
        let wrong = |(error, socket): (Error, ConnectionSocket)| {
            assert_eq!(error, Error::PortZero);
            socket
        };
        let socket = wrong(not_connected(socket.connect(port_zero).wait()));
        let connect = socket.connect(port_zero).wait_timeout(PATIENCE);
        let socket = wrong(not_connected(connect));
        let socket = wrong(not_connected(socket.connect(port_zero).start()));
        let connect = socket.connect(port_zero).into_future();
        let socket = wrong(not_connected(block_on(connect)));
        let connect = socket.connect(port_zero).start_with(|_| unreachable!());
        let socket = wrong(not_connected(connect));
        let operations = Operations::new(&s.provider, 1).unwrap();
        let connect = socket.connect(port_zero).from(&operations);
        let socket = wrong(not_connected(connect.start()));
        assert!(operations.is_idle());
        let taken = operations.take();
        let connect = socket.connect(s.remote).from(&operations);
        let (error, socket) = not_connected(connect.start());
        assert_eq!(error, Error::PoolEmpty);
        drop(taken);
        // One call opens the socket, one binds it.
        assert_eq!(kernel.counts().calls, calls + 2);
        let connected = socket.connect(s.remote).from(&operations).start();
        let connected = connected.unwrap().wait().unwrap().unwrap();
        assert_eq!(connected.remote_address().unwrap(), s.remote);
    });
}

/// A connection that nobody takes is closed, whenever it was made.
#[test]
fn a_connection_that_nobody_takes_is_closed() {
    on_each_kernel(|kernel, s| {
        let peer = || {
            let (peer, _) = s.listener.accept().unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer
        };
        // The operation completes, and then its handle is dropped.
        let connect = s.bound().connect(s.remote).start().unwrap();
        until("the connection", || connect.is_completed());
        at_irql(DISPATCH_LEVEL, || drop(connect));
        assert!(is_reset(&mut peer()));
        let open = ConnectedSocket::connect(&s.provider, s.remote);
        let open = open.start().unwrap();
        until("the connection", || open.is_completed());
        at_irql(DISPATCH_LEVEL, || drop(open));
        assert!(is_reset(&mut peer()));
        // Handles dropped in a scope, and at its end.
        wsk::scope(|scope| {
            drop(s.bound().connect(s.remote).start_in(scope).unwrap());
            let open = ConnectedSocket::connect(&s.provider, s.remote);
            let _ = open.start_in(scope).unwrap();
        })
        .unwrap();
        assert!(is_reset(&mut peer()));
        assert!(is_reset(&mut peer()));
        // The closure drops the connection.
        let connect = s.bound().connect(s.remote);
        connect.start_with(drop).unwrap();
        let open = ConnectedSocket::connect(&s.provider, s.remote);
        open.start_with(drop).unwrap();
        assert!(is_reset(&mut peer()));
        assert!(is_reset(&mut peer()));
        // Dropped at once: the operation is cancelled, or the connection is made and closed.
        for _ in 0..10 {
            drop(s.bound().connect(s.remote).start().unwrap());
            let open = ConnectedSocket::connect(&s.provider, s.remote);
            drop(open.start().unwrap());
        }
        until("the closes", || kernel.counts().sockets.live == 0);
        // Their IRPs return a moment later.
        until("the ends", || kernel.counts().in_flight == 0);
    });
}

/// WSK does not allow closing a socket while it is called. The completion routine may drop the last handle before the call
/// returns.
#[test]
fn the_last_handle_may_go_in_a_completion() {
    on_each_kernel(|kernel, s| {
        for _ in 0..50 {
            let (socket, _peer) = s.connection();
            let buffer = NonPagedBuffer::copy_of(b"last").unwrap();
            let sender = socket.send(buffer).prepare().unwrap();
            drop(socket);
            sender.start_with(drop).unwrap();
        }
        until("the closes", || kernel.counts().sockets.live == 0);
    });
}

/// Several connections are made at the same time, from borrowed memory.
#[test]
fn connections_are_made_in_a_scope() {
    on_each_kernel(|_, s| {
        let (one, two) = wsk::scope(|scope| {
            let one = s.bound().connect(s.remote).start_in(scope).unwrap();
            let two = ConnectedSocket::connect(&s.provider, s.remote);
            let two = two.start_in(scope).unwrap();
            (one.wait().unwrap(), two.wait().unwrap())
        })
        .unwrap();
        // The connections may arrive in any order.
        let mut peers = [(); 2].map(|()| s.listener.accept().unwrap());
        for socket in [one, two] {
            let local = socket.local_address().unwrap();
            let (peer, _) = peers.iter_mut().find(|(_, from)| *from == local).unwrap();
            let bytes = *b"scoped";
            let sent = wsk::scope(|scope| socket.send(&bytes).start_in(scope)?.wait());
            assert_eq!(sent.unwrap().unwrap().0, 6);
            assert_eq!(exactly(peer, 6), b"scoped");
        }
    });
}

#[test]
fn mistakes_are_found_before_the_kernel_is_called() {
    on_each_kernel(|kernel, s| {
        let socket = ConnectionSocket::open(&s.provider, Family::V4).unwrap();
        let calls = kernel.counts().calls;
        let (error, socket) = not_connected(socket.connect(s.remote).wait());
        assert_eq!(error, Error::NotBound);
        let (error, socket) = not_connected(socket.connect(s.remote).start());
        assert_eq!(error, Error::NotBound);
        assert_eq!(kernel.counts().calls, calls);
        socket.bind(address(LOOPBACK)).unwrap();
        let calls = kernel.counts().calls;
        let (error, socket) = not_connected(socket.connect(address("127.0.0.1:0")).wait());
        assert_eq!(error, Error::PortZero);
        let (error, socket) = not_connected(socket.connect(address("[::1]:9")).wait());
        assert!(matches!(error, Error::WrongFamily { .. }), "{error}");
        let (error, socket) =
            not_connected(at_irql(DISPATCH_LEVEL, || socket.connect(s.remote).wait()));
        assert!(matches!(error, Error::WrongIrql { .. }), "{error}");
        let error = ConnectedSocket::connect(&s.provider, address("127.0.0.1:0")).wait();
        assert_eq!(error.unwrap_err(), Error::PortZero);
        assert_eq!(kernel.counts().calls, calls);
        socket.close().unwrap();

        let (socket, _peer) = s.connection();
        let calls = kernel.counts().calls;
        let mut buffer = NonPagedBuffer::new(8).unwrap();
        at_irql(DISPATCH_LEVEL, || {
            let wrong = |error: Error| assert!(matches!(error, Error::WrongIrql { .. }), "{error}");
            wrong(socket.send(&buffer).wait().unwrap_err());
            wrong(socket.receive(&mut buffer).wait().unwrap_err());
            wrong(socket.receive_all(&mut buffer).wait().unwrap_err());
            wrong(socket.drain().wait_timeout(MOMENT).unwrap_err());
            wrong(socket.disconnect().wait().unwrap_err());
            wrong(socket.disconnect_after(&buffer).wait().unwrap_err());
            wrong(socket.abort().wait().unwrap_err());
            wrong(socket.remote_address().unwrap_err());
            wrong(socket.local_address().unwrap_err());
        });
        // More control information than fits into an operation.
        let mut control = Control::<320>::new();
        let data = &[0; 280];
        let (level, kind) = (0, 0);
        let message = wsk::ControlMessage::Other { level, kind, data };
        control.push(message).unwrap();
        let with_control = wsk::WithControl::new(buffer, control);
        let error = socket.send(&with_control).wait().unwrap_err();
        assert!(
            matches!(error, Error::ControlFull { room: 256, .. }),
            "{error}"
        );
        let not_started = socket.send(with_control).start().unwrap_err();
        assert_eq!(not_started.buffer.buffer.len(), 8);
        assert_eq!(kernel.counts().calls, calls);
    });
}

#[test]
fn bytes_are_sent_in_each_shape() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        assert_eq!(socket.send(b"slice").wait().unwrap(), 5);
        let buffer = NonPagedBuffer::copy_of(b"pool").unwrap();
        assert_eq!(socket.send(&buffer).wait_timeout(PATIENCE).unwrap(), 4);
        assert_eq!(exactly(&mut peer, 9), b"slicepool");

        let (first, second) = (*b"on the", *b"stack");
        let sent = wsk::scope(|scope| {
            let first = socket.send(&first).start_in(scope)?;
            let second = socket.send(&second).start_in(scope)?;
            Ok::<_, Error>(first.wait()?.0 + second.wait()?.0)
        });
        assert_eq!(sent.unwrap().unwrap(), 11);
        assert_eq!(exactly(&mut peer, 11), b"on thestack");

        let finished = socket.send(buffer).start().unwrap().wait().unwrap();
        assert_eq!(finished.result.unwrap(), 4);
        let finished = block_on(socket.send(finished.buffer.unwrap()).start().unwrap());
        assert_eq!(finished.result.unwrap(), 4);
        assert_eq!(finished.buffer.unwrap().as_slice(), b"pool");
        assert_eq!(exactly(&mut peer, 8), b"poolpool");

        // In the order in which the sends were started, whatever happens to the handles.
        let pool = BufferPool::new(8, |_| NonPagedBuffer::new(1)).unwrap();
        for n in 0..64_u8 {
            let mut buffer = pool.take_or_wait().unwrap();
            buffer.as_mut_slice().fill(n);
            drop(socket.send(buffer).start().unwrap());
        }
        assert_eq!(exactly(&mut peer, 64), (0..64).collect::<Vec<_>>());
        socket.set_no_delay(true);
        socket.send(b"now").wait().unwrap();
        assert_eq!(exactly(&mut peer, 3), b"now");
    });
}

#[test]
fn a_send_ends_when_all_of_it_is_sent() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        let bytes: Vec<u8> = (0..8 << 20).map(|n: u32| n.to_le_bytes()[0]).collect();
        let sending = socket
            .send(NonPagedBuffer::copy_of(&bytes).unwrap())
            .start()
            .unwrap();
        std::thread::sleep(MOMENT);
        assert!(!sending.is_completed(), "the peer has not received it");
        assert_eq!(exactly(&mut peer, bytes.len()), bytes);
        let finished = sending.wait().unwrap();
        assert_eq!(finished.result.unwrap(), bytes.len());
    });
}

#[test]
fn bytes_are_received_in_each_shape() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        peer.write_all(b"slice").unwrap();
        let mut bytes = [0; 16];
        assert_eq!(socket.receive_all(&mut bytes[..5]).wait().unwrap(), 5);
        assert_eq!(&bytes[..5], b"slice");
        peer.write_all(b"ab").unwrap();
        assert_eq!(
            socket
                .receive(&mut bytes[..1])
                .wait_timeout(PATIENCE)
                .unwrap(),
            1
        );
        assert_eq!(socket.receive(&mut bytes[1..]).wait().unwrap(), 1);
        assert_eq!(&bytes[..2], b"ab");

        let (mut first, mut second) = ([0; 3], [0; 4]);
        wsk::scope(|scope| {
            let first = socket.receive_all(&mut first).start_in(scope).unwrap();
            let second = socket.receive_all(&mut second).start_in(scope).unwrap();
            assert!(!first.is_completed());
            peer.write_all(b"onetwo!").unwrap();
            let (length, bytes) = first.wait().unwrap();
            assert_eq!((length, &*bytes), (3, b"one"));
            let (length, bytes) = second.wait().unwrap();
            assert_eq!((length, &*bytes), (4, b"two!"));
        })
        .unwrap();

        let receiving = socket
            .receive(NonPagedBuffer::new(64).unwrap())
            .start()
            .unwrap();
        let receiving = receiving.try_take().unwrap_err();
        let (error, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        peer.write_all(b"late").unwrap();
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result.unwrap(), 4);
        let buffer = finished.buffer.unwrap();
        assert_eq!(&buffer.as_slice()[..4], b"late");
        let mut buffer = buffer;
        buffer.set_len(6).unwrap();
        let receiving = socket.receive_all(buffer).start().unwrap();
        peer.write_all(b"fut").unwrap();
        std::thread::sleep(MOMENT);
        assert!(!receiving.is_completed(), "the buffer is not full");
        peer.write_all(b"ure").unwrap();
        let finished = block_on(receiving);
        assert_eq!(finished.result.unwrap(), 6);
        assert_eq!(finished.buffer.unwrap().as_slice(), b"future");
    });
}

#[test]
fn the_end_in_good_order_is_zero_bytes() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        peer.write_all(b"end").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(
            socket.receive_all(&mut bytes).wait().unwrap(),
            3,
            "the bytes before the end"
        );
        assert_eq!(socket.receive(&mut bytes).wait().unwrap(), 0);
        assert_eq!(socket.receive(&mut bytes).wait().unwrap(), 0, "and again");
        // The other direction still works.
        socket.send(b"still").wait().unwrap();
        assert_eq!(exactly(&mut peer, 5), b"still");
        socket.disconnect().wait().unwrap();
        assert_eq!(peer.read(&mut bytes).unwrap(), 0);
        socket.close().unwrap();
        assert!(!is_reset(&mut peer), "both directions ended gracefully");
    });
}

#[test]
fn after_a_graceful_disconnect_nothing_can_be_sent_and_all_received() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        socket.disconnect_after(b"last").wait().unwrap();
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"last");
        assert!(socket.send(b"more").wait().is_err());
        peer.write_all(b"answer").unwrap();
        let mut bytes = [0; 6];
        assert_eq!(socket.receive_all(&mut bytes).wait().unwrap(), 6);
        drop(peer);
        socket.drain().wait_timeout(PATIENCE).unwrap();

        let (socket, mut peer) = s.connection();
        let last = NonPagedBuffer::copy_of(b"owned").unwrap();
        let finished = socket
            .disconnect_after(last)
            .start()
            .unwrap()
            .wait()
            .unwrap();
        finished.result.unwrap();
        assert_eq!(finished.buffer.unwrap().as_slice(), b"owned");
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"owned");

        let (socket, mut peer) = s.connection();
        let last = *b"scoped";
        wsk::scope(|scope| {
            let receive = socket.receive(&mut bytes).start_in(scope).unwrap();
            let disconnect = socket.disconnect_after(&last).start_in(scope).unwrap();
            disconnect.wait().unwrap();
            receive.cancel();
        })
        .unwrap();
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"scoped");

        let (socket, mut peer) = s.connection();
        let disconnect = at_irql(DISPATCH_LEVEL, || socket.disconnect().start()).unwrap();
        block_on(disconnect).unwrap();
        assert_eq!(peer.read(&mut bytes).unwrap(), 0);
    });
}

#[test]
fn a_disconnect_that_takes_too_long_aborts() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        // More than the host buffers for a peer that does not read.
        let lots = NonPagedBuffer::new(32 << 20).unwrap();
        let begin = Instant::now();
        let error = socket
            .disconnect_after(&lots)
            .wait_timeout(MOMENT)
            .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(begin.elapsed() < PATIENCE);
        assert!(is_reset(&mut peer));
        assert!(socket.send(b"x").wait().is_err());
    });
}

#[test]
fn an_abort_resets_the_connection_and_ends_what_is_in_flight() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        let receiving = socket
            .receive(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        socket.abort().wait().unwrap();
        let finished = receiving.wait().unwrap();
        assert_eq!(
            finished.result.unwrap_err().status(),
            Some(STATUS_CONNECTION_ABORTED)
        );
        assert!(finished.buffer.is_some());
        assert!(is_reset(&mut peer));
        assert!(socket.receive(&mut [0; 8]).wait().is_err());

        let (socket, mut peer) = s.connection();
        let abort = at_irql(DISPATCH_LEVEL, || socket.abort().start()).unwrap();
        abort.wait().unwrap().unwrap();
        assert!(is_reset(&mut peer));
    });
}

#[test]
fn closing_without_a_disconnect_resets() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        socket.close().unwrap();
        assert!(is_reset(&mut peer));
        let (socket, mut peer) = s.connection();
        at_irql(DISPATCH_LEVEL, || drop(socket));
        assert!(is_reset(&mut peer));
    });
}

#[test]
fn a_reset_by_the_peer_is_an_error() {
    on_each_kernel(|_, s| {
        let (socket, peer) = s.connection();
        let receiving = socket
            .receive(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        reset(peer);
        let error = receiving.wait().unwrap().result.unwrap_err();
        assert_eq!(error.status(), Some(STATUS_CONNECTION_RESET));
        assert!(!error.must_close());
        assert!(socket.receive(&mut [0; 8]).wait().is_err());
        assert!(socket.send(b"x").wait().is_err());
        socket.close().unwrap();
    });
}

/// Closes the socket so that the other side sees a reset.
fn reset(peer: TcpStream) {
    let peer = socket2::Socket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

#[test]
fn a_receive_that_runs_out_of_time_has_taken_nothing() {
    on_each_kernel(|_, s| {
        let (socket, mut peer) = s.connection();
        let mut bytes = [0; 4];
        let error = socket.receive(&mut bytes).wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        peer.write_all(b"here").unwrap();
        assert_eq!(
            socket
                .receive_all(&mut bytes)
                .wait_timeout(PATIENCE)
                .unwrap(),
            4
        );
        assert_eq!(&bytes, b"here");
        assert!(socket.receive_all(&mut bytes).wait_timeout(MOMENT).is_err());
    });
}

#[test]
fn a_send_that_runs_out_of_time_is_cancelled() {
    on_each_kernel(|kernel, s| {
        let (socket, _peer) = s.connection();
        let lots = NonPagedBuffer::new(32 << 20).unwrap();
        let error = socket.send(&lots).wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn whatever_is_done_with_a_handle_the_buffer_is_the_kernels_until_the_end() {
    on_each_kernel(|kernel, s| {
        let (socket, peer) = s.connection();
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = || drops.load(Ordering::SeqCst);
        // Dropping the handle cancels the receive, and the completion drops the buffer.
        drop(
            socket
                .receive(Counted::new(&[0; 8], &drops))
                .start()
                .unwrap(),
        );
        until("the cancelled receive", || dropped() == 1);
        // Cancelling with the handle.
        let receiving = socket
            .receive(Counted::new(&[0; 8], &drops))
            .start()
            .unwrap();
        receiving.cancel();
        let finished = receiving.wait().unwrap();
        assert_eq!(
            finished.result.unwrap_err().status(),
            Some(STATUS_CANCELLED)
        );
        drop(finished.buffer);
        assert_eq!(dropped(), 2);
        // A send whose handle is dropped continues.
        at_irql(DISPATCH_LEVEL, || {
            drop(
                socket
                    .send(Counted::new(b"goes on", &drops))
                    .start()
                    .unwrap(),
            );
        });
        let mut peer = peer;
        assert_eq!(exactly(&mut peer, 7), b"goes on");
        until("the send's end", || dropped() == 3);
        socket.close().unwrap();
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn what_is_forgotten_is_kept() {
    for kernel in seeded_kernels() {
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        let drops = Arc::new(AtomicUsize::new(0));
        std::mem::forget(
            socket
                .receive(Counted::new(&[0; 8], &drops))
                .start()
                .unwrap(),
        );
        peer.write_all(b"written").unwrap();
        until("the receive", || kernel.counts().in_flight == 0);
        drop(socket);
        drop(s);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        // The leaks are the buffer's bytes and MDL, and the operation.
        assert_eq!(kernel.finish().unwrap_err().entries().len(), 3);
    }
}

#[test]
fn closing_gives_back_what_is_in_flight() {
    on_each_kernel(|_, s| {
        let (socket, _peer) = s.connection();
        let receives: Vec<_> = (0..16)
            .map(|_| {
                socket
                    .receive(NonPagedBuffer::new(8).unwrap())
                    .start()
                    .unwrap()
            })
            .collect();
        let other = socket.clone();
        assert_eq!(socket.close().unwrap_err(), Error::InUse);
        at_irql(DISPATCH_LEVEL, || drop(other));
        for receive in receives {
            let finished = receive.wait().unwrap();
            assert!(finished.result.is_err());
            assert_eq!(finished.buffer.unwrap().len(), 8);
        }
    });
}

#[test]
fn a_socket_that_is_forced_closed_says_so_and_closes() {
    on_each_kernel(|kernel, s| {
        let (socket, _peer) = s.connection();
        let receiving = socket
            .receive(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        kernel.force_close_sockets();
        let error = receiving.wait().unwrap().result.unwrap_err();
        assert!(error.must_close(), "{error}");
        for error in [
            socket.send(b"x").wait().unwrap_err(),
            socket.receive(&mut [0; 8]).wait().unwrap_err(),
            socket.disconnect().wait().unwrap_err(),
            socket.remote_address().unwrap_err(),
        ] {
            assert!(error.must_close(), "{error}");
        }
        socket.close().unwrap();
    });
}

#[test]
fn dual_mode_sockets_connect_to_either_family() {
    on_each_kernel(|_, s| {
        let socket = ConnectionSocket::open(&s.provider, Family::Dual).unwrap();
        socket.bind(Family::Dual.any()).unwrap();
        let socket = socket.connect(s.remote).wait().unwrap();
        assert_eq!(socket.remote_address().unwrap(), s.remote);
        let v6 = TcpListener::bind("[::1]:0").unwrap();
        let remote = v6.local_addr().unwrap();
        let socket = ConnectedSocket::connect(&s.provider, remote)
            .wait()
            .unwrap();
        assert_eq!(socket.remote_address().unwrap(), remote);
    });
}

#[test]
fn options_of_connections_are_set_and_read() {
    use wsk::option::{KeepAlive, KeepAliveCount, KeepAliveIdle, KeepAliveInterval, NoDelay};
    on_each_kernel(|_, s| {
        let unconnected = ConnectionSocket::open(&s.provider, Family::V4).unwrap();
        unconnected.set_option(KeepAlive(true)).wait().unwrap();
        assert_eq!(
            unconnected.option::<KeepAlive>().wait(),
            Ok(KeepAlive(true))
        );
        let (socket, _peer) = s.connection();
        assert_eq!(socket.option::<KeepAlive>().wait(), Ok(KeepAlive(false)));
        socket.set_option(NoDelay(true)).wait().unwrap();
        assert_eq!(socket.option::<NoDelay>().wait(), Ok(NoDelay(true)));
        socket.set_option(KeepAliveIdle(77)).wait().unwrap();
        assert_eq!(
            socket.option::<KeepAliveIdle>().wait(),
            Ok(KeepAliveIdle(77))
        );
        socket.set_option(KeepAliveInterval(7)).wait().unwrap();
        socket.set_option(KeepAliveCount(3)).wait().unwrap();
        let read = socket.option::<KeepAliveInterval>().wait();
        assert_eq!(read, Ok(KeepAliveInterval(7)));
        assert_eq!(
            socket.option::<KeepAliveCount>().wait(),
            Ok(KeepAliveCount(3))
        );
    });
}

#[test]
fn steady_state_allocates_nothing() {
    let kernel = Kernel::boot();
    let s = Setting::new();
    let (socket, mut peer) = s.connection();
    let pool = BufferPool::new(4, |_| NonPagedBuffer::copy_of(b"pooled")).unwrap();
    let sends = Operations::new(&s.provider, 4).unwrap();
    let receives = Operations::new(&s.provider, 4).unwrap();
    let buffer = NonPagedBuffer::copy_of(b"buffer").unwrap();
    let mut room = NonPagedBuffer::new(6).unwrap();
    let before = kernel.counts().allocations();
    for _ in 0..100 {
        socket.send(&buffer).wait().unwrap();
        let echo = exactly(&mut peer, 6);
        peer.write_all(&echo).unwrap();
        assert_eq!(socket.receive_all(&mut room).wait().unwrap(), 6);
        let sending = socket.send(pool.take().unwrap()).from(&sends);
        let sending = sending.start().unwrap();
        assert_eq!(sending.wait().unwrap().result.unwrap(), 6);
        let echo = exactly(&mut peer, 6);
        peer.write_all(&echo).unwrap();
        let receiving = socket.receive_all(pool.take().unwrap()).from(&receives);
        let receiving = receiving.start().unwrap();
        assert_eq!(receiving.wait().unwrap().result.unwrap(), 6);
    }
    assert_eq!(kernel.counts().allocations(), before);
    drop((pool, sends, receives, buffer, room, socket));
    drop(s);
    kernel.shutdown();
}

#[test]
fn deregistering_waits_for_connections() {
    for kernel in seeded_kernels() {
        let s = Setting::new();
        let (socket, _peer) = s.connection();
        let receiving = socket
            .receive(NonPagedBuffer::new(8).unwrap())
            .start()
            .unwrap();
        let Setting {
            provider,
            registration,
            ..
        } = s;
        drop(provider);
        let thread = std::thread::spawn(move || drop(registration));
        std::thread::sleep(MOMENT);
        assert!(!thread.is_finished(), "a socket is still open");
        drop(socket);
        assert!(receiving.wait().unwrap().result.is_err());
        thread.join().unwrap();
        kernel.shutdown();
    }
}

/// A provider breaks its contract: it refuses a request and keeps its IRP. That is an error and no hang. The memory stays
/// allocated, and is freed when the IRP completes after all.
#[test]
fn a_provider_that_keeps_what_it_has_refused_hangs_nobody() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new();
    let (socket, _peer) = s.connection();
    let (unconnected, connecting) = (s.bound(), s.bound());
    let drops = Arc::new(AtomicUsize::new(0));
    let mut buffer = NonPagedBuffer::copy_of(b"kept").unwrap();
    let refuse = || kernel.fail_nth(Resource::Completion, 1);
    let abandoned = |error: Error| assert!(matches!(error, Error::Abandoned { .. }), "{error}");

    refuse();
    let sending = socket.send(Counted::new(b"owned", &drops)).start().unwrap();
    refuse();
    let receiving = socket
        .receive(Counted::new(b"owned", &drops))
        .start()
        .unwrap();
    refuse();
    let connect = connecting.connect(s.remote).start().unwrap();
    refuse();
    let open = ConnectedSocket::connect(&s.provider, s.remote)
        .start()
        .unwrap();
    refuse();
    let disconnect = socket.disconnect().start().unwrap();
    refuse();
    // Dropped without reading the result.
    drop(
        ConnectedSocket::connect(&s.provider, s.remote)
            .start()
            .unwrap(),
    );

    refuse();
    abandoned(socket.receive(&mut buffer).wait().unwrap_err());
    assert!(buffer.is_empty(), "the provider keeps the memory");
    assert!(buffer.is_lost());
    let lost = socket.receive(&mut buffer).wait();
    assert_eq!(
        lost,
        Err(Error::BufferLost),
        "a lost buffer is an error, not the end of the connection"
    );
    refuse();
    abandoned(socket.disconnect().wait_timeout(MOMENT).unwrap_err());
    refuse();
    let (error, unconnected) = not_connected(unconnected.connect(s.remote).wait());
    abandoned(error);
    refuse();
    abandoned(
        ConnectedSocket::connect(&s.provider, s.remote)
            .wait()
            .unwrap_err(),
    );

    for finished in [sending.wait().unwrap(), receiving.wait().unwrap()] {
        abandoned(finished.result.unwrap_err());
        assert!(finished.buffer.is_none());
    }
    let not_connected = connect.wait().unwrap().unwrap_err();
    abandoned(not_connected.error);
    assert!(not_connected.socket.is_none());
    abandoned(open.wait().unwrap().unwrap_err());
    abandoned(disconnect.wait().unwrap().unwrap_err());
    assert_eq!(drops.load(Ordering::SeqCst), 0);

    assert_eq!(kernel.complete_withheld(), 10);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    drop((socket, unconnected));
    drop(s);
    // The leaks are the bytes and the MDL of the buffer that was lent to the provider.
    drop(buffer);
    assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
}

#[test]
fn only_wsk_connects_a_socket() {
    // What an operation ends in, without the operation.
    type Carried = <Connecting as Operation<ConnectionSocket>>::Way;
    let kernel = Kernel::boot();
    let setting = Setting::new();
    let socket = ConnectionSocket::open(&setting.provider, Family::V4).unwrap();
    let refused = <Carried as Way<ConnectionSocket>>::finished(Ok(()), Some(socket)).unwrap_err();
    assert_eq!(refused.error, Error::Taken);
    drop((refused, setting));
    kernel.shutdown();
}
