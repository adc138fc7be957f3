//! Providers that behave differently from the documentation, as those of other systems do. The promises of the crate hold with
//! them, too.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wsk::events::{ConnectionEvent, Incoming};
use wsk::ioctl::ControlRequest;
use wsk::operation::Operations;
use wsk::raw::RawControl;
use wsk::{
    BufferPool, Call, ConnectedSocket, Error, Family, ListenSocket, MdlChain, NonPagedBuffer,
    SliceChain,
};
use wsk_host::{Completion, DISPATCH_LEVEL, Deviation, Kernel, Resource, at_irql};
use wsk_sys::{IP_TTL, IPPROTO_IP, STATUS_CANCELLED, STATUS_IO_TIMEOUT};

use crate::connection::Setting;
use crate::setting::{
    self, Counted, FAST, LOOPBACK, MOMENT, PATIENCE, block_on, bound, client, until,
};

/// Kernels with a provider that deviates.
fn kernels_with(deviation: Deviation) -> impl Iterator<Item = Kernel> {
    kernels_at(1, deviation)
}

fn kernels_at(speed: u32, deviation: Deviation) -> impl Iterator<Item = Kernel> {
    [Completion::Inline, Completion::Deferred, Completion::Seeded]
        .into_iter()
        .map(move |policy| {
            let builder = Kernel::builder().completion(policy).seed(3);
            builder.time_lapse(speed).deviation(deviation).boot()
        })
}

/// Runs `test` with a connection of a provider that completes each receive with at most `most` bytes.
pub(crate) fn with_short_receives(
    most: usize,
    test: impl Fn(&Setting, &ConnectedSocket, &mut TcpStream),
) {
    with_connections(
        Deviation::ShortReceives(NonZeroUsize::new(most).unwrap()),
        test,
    );
}

/// Runs `test` with a connection of a provider that deviates.
pub(crate) fn with_connections(
    deviation: Deviation,
    test: impl Fn(&Setting, &ConnectedSocket, &mut TcpStream),
) {
    for kernel in kernels_with(deviation) {
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        test(&s, &socket, &mut peer);
        drop((socket, s));
        kernel.shutdown();
    }
}

fn room() -> NonPagedBuffer {
    NonPagedBuffer::new(6).unwrap()
}

#[test]
fn receive_all_goes_on_until_the_buffer_is_full() {
    for most in [1, 4] {
        with_short_receives(most, |s, socket, peer| {
            let mut bytes = [0; 6];
            peer.write_all(b"waited").unwrap();
            assert_eq!(socket.receive_all(&mut bytes).wait(), Ok(6));
            assert_eq!(&bytes, b"waited");
            peer.write_all(b"limits").unwrap();
            let received = socket.receive_all(&mut bytes).wait_timeout(PATIENCE);
            assert_eq!((received, &bytes), (Ok(6), b"limits"));

            // Bytes that arrive while the operation is in flight.
            let halves = |peer: &mut TcpStream, bytes: &[u8; 6]| {
                peer.write_all(&bytes[..3]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
                peer.write_all(&bytes[3..]).unwrap();
            };
            let receiving = socket.receive_all(room()).start().unwrap();
            halves(peer, b"handle");
            let finished = receiving.wait().unwrap();
            assert_eq!(finished.result, Ok(6));
            assert_eq!(finished.buffer.unwrap().as_slice(), b"handle");

            let receiving = socket.receive_all(room()).start().unwrap();
            halves(peer, b"awaits");
            let finished = block_on(receiving);
            assert_eq!(finished.result, Ok(6));
            assert_eq!(finished.buffer.unwrap().as_slice(), b"awaits");

            let mut receiving = socket.receive_all(room()).start().unwrap();
            halves(peer, b"polled");
            let finished = loop {
                match receiving.try_take() {
                    Ok(finished) => break finished,
                    Err(again) => receiving = again,
                }
                std::thread::yield_now();
            };
            assert_eq!(finished.result, Ok(6));
            assert_eq!(finished.buffer.unwrap().as_slice(), b"polled");

            wsk::scope(|scope| {
                let receiving = socket.receive_all(&mut bytes).start_in(scope).unwrap();
                halves(peer, b"scoped");
                let (length, bytes) = receiving.wait().unwrap();
                assert_eq!((length, &*bytes), (6, b"scoped"));
            })
            .unwrap();

            let operations = Operations::new(&s.provider, 1).unwrap();
            for expected in [b"told 1", b"told 2"] {
                let (sender, told) = channel();
                let tell = move |finished| drop(sender.send(finished));
                if expected == b"told 1" {
                    socket.receive_all(room()).start_with(tell).unwrap();
                } else {
                    let pooled = socket.receive_all(room()).from(&operations);
                    pooled.start_with(tell).unwrap();
                }
                halves(peer, expected);
                let finished = told.recv_timeout(PATIENCE).unwrap();
                assert_eq!(finished.result, Ok(6));
                assert_eq!(finished.buffer.unwrap().as_slice(), expected);
            }
            // The operation returns to the pool after the completion routine has returned.
            operations.wait_until_idle().unwrap();
            let receiving = socket.receive_all(room()).from(&operations);
            let receiving = receiving.start().unwrap();
            halves(peer, b"pooled");
            let finished = receiving.wait().unwrap();
            assert_eq!(finished.result, Ok(6));
            assert_eq!(finished.buffer.unwrap().as_slice(), b"pooled");
            operations.wait_until_idle().unwrap();
        });
    }
}

#[test]
fn receive_all_ends_with_the_connection() {
    for shape in 0..4 {
        with_short_receives(2, |_, socket, peer| {
            let receiving = (shape > 1).then(|| socket.receive_all(room()).start().unwrap());
            peer.write_all(b"end").unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            let mut bytes = [0; 6];
            let received = match (shape, receiving) {
                (0, _) => socket.receive_all(&mut bytes).wait(),
                (1, _) => wsk::scope(|scope| {
                    let receiving = socket.receive_all(&mut bytes).start_in(scope)?;
                    receiving.wait().map(|(length, _)| length)
                })
                .unwrap(),
                (2, Some(receiving)) => receiving.wait().unwrap().result,
                (_, receiving) => block_on(receiving.unwrap()).result,
            };
            assert_eq!(received, Ok(3), "the bytes before the end");
            assert_eq!(socket.receive_all(&mut bytes).wait(), Ok(0));
        });
    }
}

#[test]
fn the_rest_is_found_in_chains() {
    for most in [1, 2, 3, 5] {
        with_short_receives(most, |_, socket, peer| {
            let part = |length| NonPagedBuffer::new(length).unwrap();
            // The range begins inside the first part and ends inside the last.
            let mut chain = MdlChain::new([part(4), part(1), part(8)]);
            chain.set_range(3, 9).unwrap();
            peer.write_all(b"123456789").unwrap();
            let finished = socket.receive_all(chain).start().unwrap().wait().unwrap();
            assert_eq!(finished.result, Ok(9));
            let parts = finished.buffer.unwrap().into_parts();
            let parts = parts.each_ref().map(NonPagedBuffer::as_slice);
            assert_eq!(parts, [&b"\0\0\x001"[..], b"2", b"3456789\0"]);

            let (mut one, mut two) = ([0; 2], [0; 3]);
            let mut chain = SliceChain::new([&mut one[..], &mut two[..]]);
            chain.set_range(1, 4).unwrap();
            peer.write_all(b"abcd").unwrap();
            assert_eq!(socket.receive_all(chain).wait(), Ok(4));
            assert_eq!((&one, &two), (b"\0a", b"bcd"));
        });
    }
}

/// When several pieces are available at once, a completion routine does not receive the next one. That would overflow the stack.
#[test]
fn many_pieces_take_no_stack() {
    let one = NonZeroUsize::MIN;
    let builder = Kernel::builder().deviation(Deviation::ShortReceives(one));
    let kernel = builder.backtraces(false).boot();
    let s = Setting::new();
    let (socket, mut peer) = s.connection();
    let sent: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let room = || NonPagedBuffer::new(sent.len()).unwrap();
    let there = |peer: &mut TcpStream| {
        peer.write_all(&sent).unwrap();
        std::thread::sleep(MOMENT);
    };

    there(&mut peer);
    let mut buffer = room();
    assert_eq!(socket.receive_all(&mut buffer).wait(), Ok(sent.len()));
    assert_eq!(buffer.as_slice(), sent);

    there(&mut peer);
    let (sender, told) = channel();
    let tell = move |finished| drop(sender.send(finished));
    socket.receive_all(room()).start_with(tell).unwrap();
    let finished = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(finished.result, Ok(sent.len()));
    assert_eq!(finished.buffer.unwrap().as_slice(), sent);

    there(&mut peer);
    let finished = block_on(socket.receive_all(room()).start().unwrap());
    assert_eq!(finished.result, Ok(sent.len()));
    assert_eq!(finished.buffer.unwrap().as_slice(), sent);
    drop((buffer, socket, s));
    kernel.shutdown();
}

/// Fewer bytes than the buffer holds mean that the peer has disconnected. Every other reason is an error.
#[test]
fn receive_all_that_cannot_go_on_is_an_error() {
    with_short_receives(3, |s, socket, peer| {
        // Cancelled after a piece has arrived.
        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"one").unwrap();
        until("the piece", || receiving.is_completed());
        receiving.cancel();
        let finished = receiving.wait().unwrap();
        let cancelled = Some(STATUS_CANCELLED);
        assert_eq!(finished.result.unwrap_err().status(), cancelled);
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"one");

        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"two").unwrap();
        until("the piece", || receiving.is_completed());
        let finished = receiving.give_up().unwrap();
        assert_eq!(finished.result.unwrap_err().status(), cancelled);
        assert!(finished.buffer.is_some());

        let mut bytes = [0; 6];
        wsk::scope(|scope| {
            let receiving = socket.receive_all(&mut bytes).start_in(scope).unwrap();
            peer.write_all(b"scp").unwrap();
            until("the piece", || receiving.is_completed());
            receiving.cancel();
            let error = receiving.wait().unwrap_err();
            assert_eq!(error.status(), cancelled);
        })
        .unwrap();

        // The time runs out between two pieces.
        peer.write_all(b"tim").unwrap();
        let error = socket
            .receive_all(&mut bytes)
            .wait_timeout(MOMENT)
            .unwrap_err();
        assert!(matches!(error, Error::Short { received: 3, .. }), "{error}");

        // Closed after a piece has arrived.
        let (other, mut peer) = s.connection();
        let receiving = other.receive_all(room()).start().unwrap();
        peer.write_all(b"end").unwrap();
        until("the piece", || receiving.is_completed());
        let (sender, told) = channel();
        let tell = move |finished| drop(sender.send(finished));
        other.receive_all(room()).start_with(tell).unwrap();
        other.close().unwrap();
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result.unwrap_err().status(), cancelled);
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"end");
        let finished = told.recv_timeout(PATIENCE).unwrap();
        assert!(finished.result.is_err());
        assert!(finished.buffer.is_some());
    });
}

#[test]
fn a_registration_waits_itself() {
    for kernel in kernels_with(Deviation::DeregistersAtOnce) {
        let s = Setting::new();
        let (socket, _peer) = s.connection();
        let drops = Arc::new(AtomicUsize::new(0));
        let receiving = socket
            .receive(Counted::new(&[0; 8], &drops))
            .start()
            .unwrap();
        let info = s.provider.resolve("127.0.0.1").wait().unwrap();
        let late = s.provider.resolve("127.0.0.1").wait().unwrap();
        let operations = Operations::<NonPagedBuffer>::new(&s.provider, 2).unwrap();
        let Setting {
            provider,
            registration,
            ..
        } = s;
        let thread = std::thread::spawn(move || drop(registration));
        let waits = |what: &str| {
            std::thread::sleep(Duration::from_millis(10));
            assert!(!thread.is_finished(), "{what}");
        };
        waits("the provider is captured");
        drop(provider);
        waits("a socket is open");
        drop(socket);
        assert!(receiving.wait().unwrap().result.is_err());
        waits("addresses exist");
        drop(info);
        waits("and others");
        drop(operations);
        waits("addresses still exist");
        // The release is postponed. The thread that deregisters does it.
        at_irql(DISPATCH_LEVEL, || drop(late));
        thread.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        kernel.shutdown();
    }
}

/// Operations whose handles are dropped keep the driver loaded until they have completed.
#[test]
fn a_registration_waits_for_what_nobody_holds() {
    for kernel in kernels_at(1, Deviation::DeregistersAtOnce) {
        let (registration, provider) = client();
        let listener = ListenSocket::open(&provider, Family::V4).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let (sender, told) = channel();
        listener
            .accept()
            .start_with(move |accepted| sender.send(accepted.is_err()).unwrap())
            .unwrap();
        let socket = bound(&provider, Family::V4, LOOPBACK);
        for _ in 0..8 {
            drop(socket.receive_from(room()).start().unwrap());
        }
        drop(provider.resolve("127.0.0.1").start().unwrap());
        // A socket that its last operation closes.
        let receive = socket.receive_from(room()).start().unwrap();
        drop((socket, listener, provider));
        drop(receive);
        drop(registration);
        assert!(
            told.try_recv().unwrap(),
            "the closure must run before the registration is dropped"
        );
        kernel.shutdown();
    }
}

/// As documented: a forgotten operation is never freed, and the registration waits for its IRP.
#[test]
fn a_registration_waits_for_what_is_forgotten_while_it_is_in_flight() {
    let kernel = Kernel::builder()
        .deviation(Deviation::DeregistersAtOnce)
        .boot();
    let (registration, provider) = client();
    let socket = bound(&provider, Family::V4, LOOPBACK);
    std::mem::forget(socket.receive_from(room()).start().unwrap());
    let kept = socket.clone();
    drop((socket, provider));
    let thread = std::thread::spawn(move || drop(registration));
    std::thread::sleep(MOMENT);
    assert!(!thread.is_finished());
    drop(kept);
    // Closing the socket has ended the operation, which now keeps only its own memory.
    thread.join().unwrap();
    let left = kernel.finish().unwrap_err();
    assert_eq!(left.entries().len(), 3, "operation, bytes and MDL: {left}");
}

fn is_abandoned<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Abandoned { .. }), "{error}");
}

#[test]
fn what_can_be_left_is_not_waited_for_when_cancelling_is_ignored() {
    for kernel in kernels_at(FAST, Deviation::IgnoresCancel) {
        let (registration, provider) = client();
        let socket = bound(&provider, Family::V4, LOOPBACK);
        let drops = Arc::new(AtomicUsize::new(0));
        let buffer = || Counted::new(&[0; 8], &drops);
        let operations = Operations::new(&provider, 1).unwrap();
        let pool = BufferPool::new(1, |_| NonPagedBuffer::new(8)).unwrap();
        let begin = Instant::now();

        // Memory that the operation owns.
        let owned = socket.receive_from(buffer()).wait_timeout(MOMENT);
        is_abandoned(owned);
        let started = socket.receive_from(buffer()).start().unwrap();
        let (error, started) = started.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        started.cancel();
        let (_, started) = started.wait_timeout(MOMENT).unwrap_err();
        let finished = started.give_up().unwrap();
        is_abandoned(finished.result);
        assert!(finished.buffer.is_none());
        let pooled = socket.receive_from(buffer()).from(&operations);
        let finished = pooled.start().unwrap().give_up().unwrap();
        is_abandoned(finished.result);
        assert!(finished.buffer.is_none());
        assert!(!operations.is_idle());
        let mut prepared = socket.receive_from(room()).prepare().unwrap();
        is_abandoned(prepared.wait_timeout(MOMENT));
        assert!(prepared.is_abandoned());
        let other = socket.receive_from(room()).prepare().unwrap();
        let ended = other.start().unwrap().give_up().unwrap();
        is_abandoned(ended.result());
        // Memory that knows that it was abandoned.
        let mut lent = NonPagedBuffer::new(8).unwrap();
        is_abandoned(socket.receive_from(&mut lent).wait_timeout(MOMENT));
        assert!(lent.is_lost());
        let taken = pool.take().unwrap();
        is_abandoned(socket.receive_from(taken).wait_timeout(MOMENT));
        assert!(begin.elapsed() < PATIENCE);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        assert_eq!(kernel.counts().in_flight, 7);

        // The provider releases everything when the socket is dead. Closing the socket is not possible, because the prepared
        // operation keeps it open.
        kernel.force_close_sockets();
        until("the end of all", || kernel.counts().in_flight == 0);
        drop((prepared, ended, socket));
        operations.wait_until_idle().unwrap();
        assert_eq!(
            drops.load(Ordering::SeqCst),
            2,
            "the buffers of started operations"
        );
        drop((operations, pool, lent, provider, registration));
        // Buffers that were lent and abandoned stay allocated: the bytes and MDL of three buffers, and two blocks for the pool of
        // one of them.
        let leaks = kernel.finish().unwrap_err();
        assert_eq!(leaks.entries().len(), 8, "{leaks}");
    }
}

#[test]
fn borrowed_memory_is_waited_for_however_long() {
    for kernel in kernels_at(FAST, Deviation::IgnoresCancel) {
        let (registration, provider) = client();
        let socket = bound(&provider, Family::V4, LOOPBACK);
        let to = socket.local_address().unwrap();
        let mut bytes = [0; 8];
        let begin = Instant::now();
        let received = std::thread::scope(|threads| {
            threads.spawn(|| {
                // Long after the time and the grace period.
                std::thread::sleep(Duration::from_millis(400));
                let peer = std::net::UdpSocket::bind(LOOPBACK).unwrap();
                peer.send_to(b"late", to).unwrap();
            });
            socket.receive_from(&mut bytes).wait_timeout(MOMENT)
        });
        // The datagram arrived after all, so the result is not an error.
        assert_eq!(received.unwrap().length(), 4);
        assert_eq!(&bytes[..4], b"late");
        assert!(begin.elapsed() >= Duration::from_millis(400));
        drop((socket, provider, registration));
        kernel.shutdown();
    }
}

#[test]
fn connecting_and_accepting_end_when_cancelling_is_ignored() {
    for kernel in kernels_at(FAST, Deviation::IgnoresCancel) {
        let (registration, provider) = client();
        let listener = ListenSocket::open(&provider, Family::V4).unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        let begin = Instant::now();
        let accept = listener.accept().wait_timeout(MOMENT);
        assert!(matches!(
            accept,
            Err(Error::TimedOut { .. } | Error::Abandoned { .. })
        ));
        let accept = listener.accept().start().unwrap().give_up().unwrap();
        is_abandoned(accept.map(drop));
        let host = std::net::TcpListener::bind(LOOPBACK).unwrap();
        let remote = host.local_addr().unwrap();
        let connected = ConnectedSocket::connect(&provider, remote).wait().unwrap();
        let _peer = host.accept().unwrap();
        let mut lent = room();
        is_abandoned(connected.receive(&mut lent).wait_timeout(MOMENT));
        is_abandoned(connected.drain().wait_timeout(MOMENT));
        assert!(begin.elapsed() < PATIENCE);
        drop((connected, lent, listener, provider, registration));
        // The leaks are the bytes and the MDL of the buffer that was lent.
        assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
    }
}

/// A receive that has continued and is abandoned then keeps the driver until its IRP has completed, and no longer.
#[test]
fn what_has_gone_on_and_is_left_keeps_the_driver_no_longer_than_its_irp() {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder()
            .completion(policy)
            .time_lapse(FAST)
            .patience(PATIENCE / 30)
            .deviation(Deviation::ShortReceives(NonZeroUsize::new(3).unwrap()))
            .deviation(Deviation::IgnoresCancel)
            .boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        peer.write_all(b"one").unwrap();
        let mut lent = room();
        let limit = Duration::from_secs(1);
        is_abandoned(socket.receive_all(&mut lent).wait_timeout(limit));
        assert_eq!(kernel.counts().in_flight, 1);
        drop((socket, lent, s));
        // The leaks are the bytes and the MDL of the buffer that was lent.
        assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
    }
}

/// If a piece arrives after the time has run out, the request does not continue. Its error says that the time ran out.
#[test]
fn a_piece_that_comes_too_late_ends_in_a_time_out() {
    for policy in [Completion::Inline, Completion::Deferred] {
        let kernel = Kernel::builder()
            .completion(policy)
            .deviation(Deviation::ShortReceives(NonZeroUsize::new(3).unwrap()))
            .deviation(Deviation::IgnoresCancel)
            .boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        let mut bytes = [0; 6];
        let received = std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(4 * MOMENT);
                peer.write_all(b"one").unwrap();
            });
            socket.receive_all(&mut bytes).wait_timeout(MOMENT)
        });
        let late = Error::Short {
            call: Call::WskReceive,
            received: 3,
            status: STATUS_IO_TIMEOUT,
        };
        assert_eq!((received, &bytes[..3]), (Err(late), &b"one"[..]));
        drop((socket, s));
        kernel.shutdown();
    }
}

/// The crate does not depend on the client that WSK names.
#[test]
fn a_client_may_have_no_name() {
    for kernel in kernels_with(Deviation::NoClient) {
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        peer.write_all(b"named").unwrap();
        let mut bytes = [0; 5];
        assert_eq!(socket.receive_all(&mut bytes).wait(), Ok(5));
        drop(bound(&s.provider, Family::V4, LOOPBACK));
        let listener = ListenSocket::open(&s.provider, Family::V4).unwrap();
        listener.close().unwrap();
        let found = s.provider.resolve("127.0.0.1").wait().unwrap();
        assert_eq!(found.iter().count(), 1);
        drop((found, socket, s));
        kernel.shutdown();
    }
}

/// A socket without a dispatch table cannot be accepted. The connection is rejected, the handler is dropped, and WSK keeps no
/// pointer to it.
#[test]
fn a_connection_without_a_table_is_turned_down() {
    struct Handler(Arc<AtomicUsize>);

    impl ConnectionEvent for Handler {}

    impl Drop for Handler {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    for kernel in kernels_with(Deviation::NoTable) {
        let (registration, provider) = client();
        let drops = Arc::new(AtomicUsize::new(0));
        let (tell, told) = channel();
        let (tell, handlers) = (Mutex::new(tell), drops.clone());
        let listener =
            ListenSocket::open_with_events(&provider, Family::V4, move |incoming: Incoming<'_>| {
                let accepted = incoming.accept_with_events(Handler(handlers.clone()));
                tell.lock().unwrap().send(accepted.map(drop)).unwrap();
            })
            .unwrap();
        listener
            .bind(LOOPBACK.parse::<SocketAddr>().unwrap())
            .unwrap();
        listener.enable_accept_events().unwrap();
        let mut peer = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Err(Error::Taken));
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        // The connection is closed, gracefully or not.
        assert!(!matches!(peer.read(&mut [0]), Ok(1..)));
        drop((listener, provider, registration));
        kernel.shutdown();
    }
}

/// A `receive_all` also carries its socket. That handle is released even if a scope has abandoned the buffer to the provider.
#[test]
fn a_scope_that_has_left_a_receive_all_keeps_nobody() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = Setting::new();
    let (socket, _peer) = s.connection();
    let mut lent = room();
    kernel.fail_nth(Resource::Completion, 1);
    let _ = wsk::scope(|scope| {
        let _ = socket.receive_all(&mut lent).start_in(scope);
    });
    assert_eq!(kernel.complete_withheld(), 1);
    drop((socket, lent));
    // This would hang if a handle were left.
    drop(s);
    // The bytes and their MDL were left to the provider.
    assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
}

/// A client stays registered as long as WSK works for it, even with an operation of another client's pool.
#[test]
fn a_client_waits_for_what_it_has_asked_from_anothers_pool() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let ((first, of_pool), (second, asking)) = (client(), client());
    let operations = Operations::new(&of_pool, 1).unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    let lookup = asking
        .name_of("127.0.0.1:80".parse::<SocketAddr>().unwrap())
        .numeric();
    let lookup = lookup.from(&operations).start().unwrap();
    drop(asking);
    let thread = std::thread::spawn(move || drop(second));
    std::thread::sleep(MOMENT);
    assert!(!thread.is_finished());
    assert_eq!(kernel.complete_withheld(), 1);
    drop(lookup);
    thread.join().unwrap();
    drop((operations, of_pool, first));
    kernel.shutdown();
}

/// The provider refuses the second run of a `receive_all` and keeps its IRP. The scope ends nevertheless.
#[test]
fn a_scope_leaves_what_went_on_and_was_refused_then() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        let most = NonZeroUsize::new(1).unwrap();
        let kernel = Kernel::builder()
            .completion(policy)
            .seed(3)
            .time_lapse(FAST)
            .deviation(Deviation::ShortReceives(most))
            .boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        peer.write_all(b"ab").unwrap();
        let mut lent = NonPagedBuffer::new(6).unwrap();
        wsk::scope(|scope| {
            let receiving = socket.receive_all(&mut lent).start_in(scope).unwrap();
            while !receiving.is_completed() {
                std::thread::yield_now();
            }
            kernel.fail_nth(Resource::Completion, 1);
            let ended = receiving.wait();
            assert!(matches!(ended, Err(Error::Abandoned { .. })), "{ended:?}");
        })
        .unwrap();
        assert_eq!(kernel.complete_withheld(), 1);
        drop((socket, lent));
        drop(s);
        // The bytes and their MDL were left to the provider.
        assert_eq!(kernel.finish().unwrap_err().entries().len(), 2);
    }
}

/// The copies of a raw control operation in a scope are freed when its IRP completes after all.
#[test]
fn a_scope_that_has_left_a_raw_control_keeps_no_copies() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let s = setting::Setting::new(Family::V4, LOOPBACK);
    let mut output = [0; 4];
    kernel.fail_nth(Resource::Completion, 1);
    let get = ControlRequest::GetOption {
        level: IPPROTO_IP,
        option: IP_TTL,
    };
    // SAFETY: the option is a number.
    let request = unsafe { s.socket.control_raw(RawControl::new(get, &[]), &mut output) };
    wsk::scope(|scope| drop(request.start_in(scope))).unwrap();
    assert_eq!(kernel.complete_withheld(), 1);
    drop(s);
    kernel.shutdown();
}
