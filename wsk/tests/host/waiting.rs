//! Waits that end early: what ends them, and the bytes that have arrived by then.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use wsk::operation::{Operations, PreparedPool};
use wsk::{
    BufferPool, Call, Cancel, ConnectedSocket, Error, Family, ListenSocket, NTSTATUS,
    NonPagedBuffer,
};
use wsk_host::Deviation::{self, CancelLosesBytes, CancelTellsBytes};
use wsk_host::{APC_LEVEL, Completion, DISPATCH_LEVEL, Kernel, at_irql};
use wsk_sys::{
    STATUS_CANCELLED, STATUS_CONNECTION_RESET, STATUS_END_OF_FILE, STATUS_INVALID_DEVICE_STATE,
    STATUS_IO_TIMEOUT, STATUS_SUCCESS,
};

use crate::connection::Setting;
use crate::setting::{
    LOOPBACK, MOMENT, PATIENCE, block_on, in_settings_of, is_reset, seeded_kernels,
};

/// Runs `test` with a connection of a provider that deviates.
fn with(deviation: Deviation, test: impl Fn(&Setting, &ConnectedSocket, &mut TcpStream)) {
    let policies = [Completion::Inline, Completion::Deferred, Completion::Seeded];
    for policy in policies {
        let builder = Kernel::builder().completion(policy).seed(7);
        let kernel = builder.deviation(deviation).boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        peer.set_nodelay(true).unwrap();
        test(&s, &socket, &mut peer);
        drop((socket, s));
        kernel.shutdown();
    }
}

fn room() -> NonPagedBuffer {
    NonPagedBuffer::new(6).unwrap()
}

const fn short<T>(received: usize, status: NTSTATUS) -> Result<T, Error> {
    Err(Error::Short {
        call: Call::WskReceive,
        received,
        status,
    })
}

/// The peer sends the rest, and all of it arrives.
fn goes_on(socket: &ConnectedSocket, peer: &mut TcpStream, rest: &[u8]) {
    peer.write_all(rest).unwrap();
    let mut bytes = vec![0; rest.len()];
    assert_eq!(socket.receive_exact(&mut bytes[..]).wait(), Ok(()));
    assert_eq!(bytes, rest);
}

#[test]
fn bytes_that_came_before_receive_all_timed_out_are_given_back() {
    with(CancelLosesBytes, |_, socket, peer| {
        let mut bytes = [0; 6];
        peer.write_all(b"tim").unwrap();
        let received = socket.receive_all(&mut bytes).wait_timeout(MOMENT);
        assert_eq!(
            (received, &bytes[..3]),
            (short(3, STATUS_IO_TIMEOUT), &b"tim"[..])
        );
        goes_on(socket, peer, b"eout");
        // No bytes have arrived.
        let received = socket.receive_all(&mut bytes).wait_timeout(MOMENT);
        let call = Call::WskReceive;
        assert_eq!(received, Err(Error::TimedOut { call }));
        goes_on(socket, peer, b"more");

        // The bytes arrive in parts, one after the other.
        let mut other = peer.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for part in [b"a", b"b", b"c", b"d"] {
                    other.write_all(part).unwrap();
                    std::thread::sleep(MOMENT / 10);
                }
            });
            let received = socket.receive_all(&mut bytes).wait_timeout(MOMENT * 10);
            assert_eq!(received, short(4, STATUS_IO_TIMEOUT));
            assert_eq!(&bytes[..4], b"abcd");
        });
        goes_on(socket, peer, b"on");
    });
}

#[test]
fn bytes_that_came_before_receive_all_was_cancelled_are_given_back() {
    with(CancelTellsBytes, |s, socket, peer| {
        let cancelled = || short(3, STATUS_CANCELLED);
        peer.write_all(b"one").unwrap();
        let receiving = socket.receive_all(room()).start().unwrap();
        let (_, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        receiving.cancel();
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result, cancelled());
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"one");
        goes_on(socket, peer, b"two");

        // The receive continues once, and is then cancelled.
        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"two").unwrap();
        let (error, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        let finished = receiving.give_up().unwrap();
        assert_eq!(finished.result, cancelled());
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"two");
        goes_on(socket, peer, b"three");

        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"awt").unwrap();
        let (_, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        receiving.cancel();
        let finished = block_on(receiving);
        assert_eq!(finished.result, cancelled());
        goes_on(socket, peer, b"scoped");

        let mut bytes = [0; 6];
        wsk::scope(|scope| {
            let receiving = socket.receive_all(&mut bytes).start_in(scope).unwrap();
            peer.write_all(b"scp").unwrap();
            std::thread::sleep(MOMENT);
            assert!(!receiving.is_completed());
            receiving.cancel();
            assert_eq!(receiving.wait().map(|(received, _)| received), cancelled());
        })
        .unwrap();
        assert_eq!(&bytes[..3], b"scp");
        goes_on(socket, peer, b"told");

        // With a closure, and with an operation of a pool.
        let operations = Operations::new(&s.provider, 1).unwrap();
        for pooled in [false, true] {
            let (other, mut peer) = s.connection();
            let (sender, told) = channel();
            let tell = move |finished| drop(sender.send(finished));
            let request = other.receive_all(room());
            if pooled {
                request.from(&operations).start_with(tell).unwrap();
            } else {
                request.start_with(tell).unwrap();
            }
            peer.write_all(b"end").unwrap();
            std::thread::sleep(MOMENT);
            other.close().unwrap();
            let finished = told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(finished.result, cancelled());
            assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"end");
        }
        operations.wait_until_idle().unwrap();
    });
}

#[test]
fn bytes_that_came_before_the_connection_broke_are_given_back() {
    with(CancelTellsBytes, |s, _, _| {
        let (socket, mut peer) = s.connection();
        let mut bytes = [0; 6];
        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"brk").unwrap();
        let (_, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        // The peer closes without reading these bytes, so that the socket sees a reset.
        socket.send(b"unread").wait().unwrap();
        std::thread::sleep(MOMENT);
        drop(peer);
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result, short(3, STATUS_CONNECTION_RESET));
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"brk");
        // Bytes that arrived before an error do not count for the next receive.
        let error = socket.receive_all(&mut bytes).wait().unwrap_err();
        assert!(matches!(error, Error::Call { .. }), "{error}");

        let (socket, mut peer) = s.connection();
        let receiving = socket.receive_all(room()).start().unwrap();
        peer.write_all(b"abt").unwrap();
        let (_, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        socket.abort().wait().unwrap();
        let finished = receiving.wait().unwrap();
        assert!(
            matches!(finished.result, Err(Error::Short { received: 3, .. })),
            "{finished:?}"
        );
        assert!(is_reset(&mut peer));
    });
}

#[test]
fn a_receive_of_exactly_so_many_bytes_has_the_short_read_as_an_error() {
    with(CancelLosesBytes, |s, socket, peer| {
        let mut bytes = [0; 6];
        peer.write_all(b"exactly").unwrap();
        assert_eq!(socket.receive_exact(&mut bytes).wait(), Ok(()));
        assert_eq!(&bytes, b"exactl");
        let mut last = [0; 1];
        assert_eq!(
            socket.receive_exact(&mut last).wait_timeout(PATIENCE),
            Ok(())
        );
        assert_eq!(&last, b"y");
        assert_eq!(
            socket.receive_exact(&mut []).wait(),
            Ok(()),
            "an empty buffer is full at once"
        );

        let received = socket.receive_exact(&mut bytes).wait_timeout(MOMENT);
        let call = Call::WskReceive;
        assert_eq!(received, Err(Error::TimedOut { call }));
        peer.write_all(b"tim").unwrap();
        let received = socket.receive_exact(&mut bytes).wait_timeout(MOMENT);
        assert_eq!(received, short(3, STATUS_IO_TIMEOUT));
        goes_on(socket, peer, b"eout");

        let receiving = socket.receive_exact(room()).start().unwrap();
        peer.write_all(b"end").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let finished = block_on(receiving);
        assert_eq!(finished.result, short(3, STATUS_END_OF_FILE));
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"end");
        let end = short(0, STATUS_END_OF_FILE);
        assert_eq!(socket.receive_exact(&mut bytes).wait(), end);
        assert_eq!(socket.receive_exact(&mut bytes).wait_timeout(PATIENCE), end);

        let (other, mut peer) = s.connection();
        peer.write_all(b"end").unwrap();
        drop(peer);
        let received = other.receive_exact(&mut bytes).wait();
        assert_eq!(received, short(3, STATUS_END_OF_FILE));
    });
}

#[test]
fn a_short_receive_says_what_it_is() {
    let of = |status| short::<()>(3, status).unwrap_err();
    let ended = of(STATUS_END_OF_FILE);
    assert_eq!(ended.call(), Some(Call::WskReceive));
    assert_eq!(ended.status(), Some(STATUS_END_OF_FILE));
    assert!(
        ended
            .to_string()
            .contains("after 3 bytes, which are in the buffer"),
        "{ended}"
    );
    // The same call would overwrite the bytes that have arrived.
    assert!(!of(STATUS_CANCELLED).is_transient());
    assert!(of(wsk_sys::STATUS_FILE_FORCED_CLOSED).must_close());
    for status in [STATUS_IO_TIMEOUT, STATUS_INVALID_DEVICE_STATE] {
        assert_eq!(NTSTATUS::from(of(status)), status);
        assert_ne!(NTSTATUS::from(of(status)), STATUS_SUCCESS);
    }
}

/// Cancels from another thread, after a moment.
fn cancelled_by_another<T>(cancel: &Cancel, wait: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(MOMENT);
            cancel.cancel();
        });
        wait()
    })
}

const fn cancelled<T>(call: Call) -> Result<T, Error> {
    Err(Error::Cancelled { call })
}

#[test]
fn another_thread_ends_a_blocked_receive_from() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let cancel = Cancel::new().unwrap();
        let mut room = [0; 8];
        let mut buffer = NonPagedBuffer::new(8).unwrap();
        let before = kernel.counts().allocations();
        let received = cancelled_by_another(&cancel, || {
            s.socket.receive_from(&mut buffer).wait_until(&cancel)
        });
        assert_eq!(received.map(|_| ()), cancelled(Call::WskReceiveFrom));
        assert_eq!(kernel.counts().in_flight, 0);
        assert_eq!(
            kernel.counts().allocations(),
            before,
            "waiting must not allocate"
        );

        // Cancelled before it starts: WSK is not called.
        s.hears(b"here");
        let received = s.socket.receive_from(&mut room).wait_until(&cancel);
        assert_eq!(received.map(|_| ()), cancelled(Call::WskReceiveFrom));
        assert!(cancel.is_cancelled());
        cancel.reset();
        assert!(!cancel.is_cancelled());
        let received = s.socket.receive_from(&mut room).wait_until(&cancel);
        assert_eq!(received.map(|received| received.length()), Ok(4));

        // Either the time or the other thread ends the wait first.
        let call = Call::WskReceiveFrom;
        let received = s.socket.receive_from(&mut room);
        let received = received.wait_until_or_timeout(&cancel, MOMENT);
        assert_eq!(received.map(|_| ()), Err(Error::TimedOut { call }));
        let received = cancelled_by_another(&cancel, || {
            let received = s.socket.receive_from(&mut room);
            received.wait_until_or_timeout(&cancel, PATIENCE)
        });
        assert_eq!(received.map(|_| ()), cancelled(call));
        cancel.reset();

        // An operation that was started continues, unless the driver gives it up.
        let receiving = s.socket.receive_from(NonPagedBuffer::new(8).unwrap());
        let receiving = receiving.start().unwrap();
        let (error, receiving) =
            cancelled_by_another(&cancel, || receiving.wait_until(&cancel)).unwrap_err();
        assert_eq!(error, Error::Cancelled { call });
        s.hears(b"later");
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result.unwrap().length(), 5);
    });
}

#[test]
fn another_thread_ends_a_blocked_accept() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let listener = ListenSocket::open(&s.provider, Family::V4).unwrap();
        listener
            .bind(LOOPBACK.parse::<std::net::SocketAddr>().unwrap())
            .unwrap();
        let cancel = Cancel::new().unwrap();
        let others = cancel.clone();
        let accepted = cancelled_by_another(&others, || {
            listener.accept().wait_until(&cancel).map(|_| ())
        });
        assert_eq!(accepted, cancelled(Call::WskAccept));
        let accepted = listener.accept().wait_until(&cancel).map(|_| ());
        assert_eq!(accepted, cancelled(Call::WskAccept), "at once");
        cancel.reset();
        let peer = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let (socket, from) = listener.accept().wait_until(&cancel).unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
        socket.close().unwrap();
        // Closing waits for the cancelled operation.
        listener.close().unwrap();
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn another_thread_ends_the_wait_for_a_prepared_receive() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let (cancel, call) = (Cancel::new().unwrap(), Call::WskReceiveFrom);
        let mut receiver = s.socket.receive_from(room()).prepare().unwrap();
        let before = kernel.counts().allocations();
        let length = cancelled_by_another(&cancel, || {
            receiver.wait_until(&cancel).map(|arrival| arrival.length())
        });
        assert_eq!(length, cancelled(call));
        assert_eq!(kernel.counts().in_flight, 0);
        assert_eq!(kernel.counts().allocations(), before);
        // The operation in flight continues, even if the wait is over before it begins.
        let receiving = receiver.start().unwrap();
        let (error, receiving) = receiving.wait_until(&cancel).unwrap_err();
        assert_eq!(error, Error::Cancelled { call });
        cancel.reset();
        let (error, receiving) =
            cancelled_by_another(&cancel, || receiving.wait_until(&cancel)).unwrap_err();
        assert_eq!(error, Error::Cancelled { call });
        cancel.reset();
        s.hears(b"later");
        let ended = receiving.wait_until(&cancel).unwrap();
        assert_eq!(ended.result().unwrap().bytes(), b"later");

        // Cancelled before it starts: nothing runs, and the bytes that have arrived stay available.
        let mut receiver = ended.into_operation().unwrap();
        s.hears(b"here");
        cancel.cancel();
        let length = receiver.wait_until(&cancel).map(|arrival| arrival.length());
        assert_eq!(length, cancelled(call));
        cancel.reset();
        assert_eq!(receiver.wait_until(&cancel).unwrap().bytes(), b"here");

        let level = at_irql(DISPATCH_LEVEL, || {
            receiver.wait_until(&cancel).map(|arrival| arrival.length())
        });
        assert!(matches!(level, Err(Error::WrongIrql { .. })), "{level:?}");
    });
}

#[test]
fn another_thread_ends_the_wait_for_a_scoped_operation() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let (cancel, call) = (Cancel::new().unwrap(), Call::WskReceiveFrom);
        let (mut first, mut second) = ([0; 8], [0; 8]);
        wsk::scope(|scope| {
            let receiving = s.socket.receive_from(&mut first).start_in(scope).unwrap();
            let (error, receiving) =
                cancelled_by_another(&cancel, || receiving.wait_until(&cancel)).unwrap_err();
            assert_eq!(error, Error::Cancelled { call });
            // Still cancelled: the wait ends at once. The operation continues until it is cancelled itself.
            let (error, receiving) = receiving.wait_until(&cancel).unwrap_err();
            assert_eq!(error, Error::Cancelled { call });
            cancel.reset();
            s.hears(b"later");
            let (received, bytes) = receiving.wait_until(&cancel).unwrap().unwrap();
            assert_eq!(&bytes[..received.length()], b"later");

            let receiving = s.socket.receive_from(&mut second).start_in(scope).unwrap();
            let (_, receiving) =
                cancelled_by_another(&cancel, || receiving.wait_until(&cancel)).unwrap_err();
            receiving.cancel();
            cancel.reset();
            let ended = receiving.wait_until(&cancel).unwrap();
            assert_eq!(ended.unwrap_err().status(), Some(STATUS_CANCELLED));
        })
        .unwrap();
        assert_eq!(kernel.counts().in_flight, 0);
    });
}

#[test]
fn another_thread_ends_the_wait_for_something_of_a_pool() {
    in_settings_of(seeded_kernels(), |_, s| {
        let cancel = Cancel::new().unwrap();
        let operations = Operations::<NonPagedBuffer>::new(&s.provider, 1).unwrap();
        let buffers = BufferPool::new(1, |_| NonPagedBuffer::new(8)).unwrap();
        let receivers = PreparedPool::new(1, |_| Ok(s.socket.receive_from(room()))).unwrap();
        // A result that is available is returned, whether the wait is cancelled or not.
        cancel.cancel();
        let taken = operations.take_until(&cancel).unwrap();
        let buffer = buffers.take_until(&cancel).unwrap();
        let receiver = receivers.take_until(&cancel).unwrap();
        assert_eq!(operations.take_until(&cancel).err(), Some(Error::PoolEmpty));
        cancel.reset();
        let wait = || operations.take_until(&cancel).err();
        let error = cancelled_by_another(&cancel, wait);
        assert_eq!(error, Some(Error::PoolEmpty));
        cancel.reset();
        let error = cancelled_by_another(&cancel, || buffers.take_until(&cancel).err());
        assert_eq!(error, Some(Error::PoolEmpty));
        cancel.reset();
        let error = cancelled_by_another(&cancel, || receivers.take_until(&cancel).err());
        assert_eq!(error, Some(Error::PoolEmpty));
        cancel.reset();
        // The waits end as soon as something returns.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(MOMENT);
                drop((taken, buffer, receiver));
            });
            assert!(operations.take_until(&cancel).is_ok());
            assert!(buffers.take_until(&cancel).is_ok());
            assert!(receivers.take_until(&cancel).is_ok());
        });
    });
}

/// Every wait has a form that both the time and another thread end.
#[test]
fn the_time_or_another_thread_ends_the_wait() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let (cancel, call) = (Cancel::new().unwrap(), Call::WskReceiveFrom);
        let timed_out = Error::TimedOut { call };
        let by_another = Error::Cancelled { call };

        let receiving = s.socket.receive_from(room()).start().unwrap();
        let (error, receiving) = receiving
            .wait_until_or_timeout(&cancel, MOMENT)
            .unwrap_err();
        assert_eq!(error, timed_out);
        let wait = || receiving.wait_until_or_timeout(&cancel, PATIENCE);
        let (error, receiving) = cancelled_by_another(&cancel, wait).unwrap_err();
        assert_eq!(error, by_another);
        cancel.reset();
        s.hears(b"start");
        let finished = receiving.wait_until_or_timeout(&cancel, PATIENCE).unwrap();
        assert_eq!(finished.result.unwrap().length(), 5);

        let mut bytes = [0; 8];
        wsk::scope(|scope| {
            let receiving = s.socket.receive_from(&mut bytes).start_in(scope).unwrap();
            let (error, receiving) = receiving
                .wait_until_or_timeout(&cancel, MOMENT)
                .unwrap_err();
            assert_eq!(error, timed_out);
            let wait = || receiving.wait_until_or_timeout(&cancel, PATIENCE);
            let (error, receiving) = cancelled_by_another(&cancel, wait).unwrap_err();
            assert_eq!(error, by_another);
            cancel.reset();
            s.hears(b"scoped");
            let end = receiving.wait_until_or_timeout(&cancel, PATIENCE).unwrap();
            assert_eq!(end.unwrap().0.length(), 6);
        })
        .unwrap();

        let mut receiver = s.socket.receive_from(room()).prepare().unwrap();
        let error = receiver.wait_until_or_timeout(&cancel, MOMENT).map(drop);
        assert_eq!(error, Err(timed_out));
        let wait = || receiver.wait_until_or_timeout(&cancel, PATIENCE).map(drop);
        let error = cancelled_by_another(&cancel, wait);
        assert_eq!(error, Err(by_another));
        cancel.reset();
        s.hears(b"waited");
        let arrival = receiver.wait_until_or_timeout(&cancel, PATIENCE);
        assert_eq!(arrival.unwrap().bytes(), b"waited");
        let receiving = receiver.start().unwrap();
        let (error, receiving) = receiving
            .wait_until_or_timeout(&cancel, MOMENT)
            .unwrap_err();
        assert_eq!(error, timed_out);
        let wait = || receiving.wait_until_or_timeout(&cancel, PATIENCE);
        let (error, receiving) = cancelled_by_another(&cancel, wait).unwrap_err();
        assert_eq!(error, by_another);
        cancel.reset();
        s.hears(b"again");
        let ended = receiving.wait_until_or_timeout(&cancel, PATIENCE).unwrap();
        assert_eq!(ended.result().unwrap().bytes(), b"again");
        assert_eq!(kernel.counts().in_flight, 0);

        let operations = Operations::<NonPagedBuffer>::new(&s.provider, 1).unwrap();
        let buffers = BufferPool::new(1, |_| NonPagedBuffer::new(8)).unwrap();
        let receivers = PreparedPool::new(1, |_| Ok(s.socket.receive_from(room()))).unwrap();
        let ways: [&(dyn Fn(Duration) -> Option<Error> + Sync); 3] = [
            &|limit| operations.take_until_or_timeout(&cancel, limit).err(),
            &|limit| buffers.take_until_or_timeout(&cancel, limit).err(),
            &|limit| receivers.take_until_or_timeout(&cancel, limit).err(),
        ];
        for take in ways {
            assert_eq!(take(PATIENCE), None);
        }
        let taken = (operations.take(), buffers.take(), receivers.take());
        for take in ways {
            assert_eq!(take(MOMENT / 10), Some(Error::PoolEmpty));
            let error = cancelled_by_another(&cancel, || take(PATIENCE));
            assert_eq!(error, Some(Error::PoolEmpty));
            cancel.reset();
        }
        drop(taken);
    });
}

#[test]
fn one_cancel_ends_all_waits_with_it() {
    in_settings_of(seeded_kernels(), |_, s| {
        let cancel = Cancel::new().unwrap();
        std::thread::scope(|scope| {
            let waits = [(); 4].map(|()| {
                scope.spawn(|| {
                    s.socket
                        .receive_from(&mut [0; 8])
                        .wait_until(&cancel)
                        .map(|_| ())
                })
            });
            std::thread::sleep(MOMENT);
            cancel.cancel();
            for wait in waits {
                assert_eq!(wait.join().unwrap(), cancelled(Call::WskReceiveFrom));
            }
        });
        // The handle that cancels may be dropped at once.
        let cancel = Cancel::new().unwrap();
        cancel.clone().cancel();
        assert!(cancel.is_cancelled());
    });
}

#[test]
fn bytes_that_came_before_receive_all_was_cancelled_from_outside_are_given_back() {
    with(CancelLosesBytes, |_, socket, peer| {
        let cancel = Cancel::new().unwrap();
        let mut bytes = [0; 6];
        peer.write_all(b"out").unwrap();
        let received = cancelled_by_another(&cancel, || {
            socket.receive_all(&mut bytes).wait_until(&cancel)
        });
        assert_eq!(received, short(3, STATUS_CANCELLED));
        assert_eq!(&bytes[..3], b"out");
        cancel.reset();
        let received = cancelled_by_another(&cancel, || {
            socket.receive_all(&mut bytes).wait_until(&cancel)
        });
        assert_eq!(received, cancelled(Call::WskReceive));
        cancel.reset();
        goes_on(socket, peer, b"side");
        // Cancelling a graceful disconnect aborts the connection.
        let bytes = vec![0; 16 << 20];
        let sending = socket.send(NonPagedBuffer::copy_of(&bytes).unwrap());
        let sending = sending.start().unwrap();
        let begun = Instant::now();
        let ended = cancelled_by_another(&cancel, || socket.disconnect().wait_until(&cancel));
        assert_eq!(ended, cancelled(Call::WskDisconnect));
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(sending.wait().unwrap().result.is_err());
    });
}

#[test]
fn a_blocking_send_beside_a_blocking_receive_allocates_nothing() {
    for kernel in seeded_kernels() {
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        let mut buffer = NonPagedBuffer::new(4).unwrap();
        let message = NonPagedBuffer::copy_of(b"sent").unwrap();
        let before = kernel.counts().allocations();
        std::thread::scope(|scope| {
            let receive = scope.spawn(|| socket.receive_all(&mut buffer).wait());
            std::thread::sleep(MOMENT);
            // The send uses one of the socket's operations, while the receive uses the other.
            assert_eq!(socket.send(&message).wait(), Ok(4));
            assert_eq!(
                kernel.counts().in_flight,
                1,
                "the receive is still in flight"
            );
            assert_eq!(kernel.counts().allocations(), before);
            peer.write_all(b"come").unwrap();
            assert_eq!(receive.join().unwrap(), Ok(4));
        });
        assert_eq!(kernel.counts().allocations(), before);
        drop((socket, buffer, message, s));
        kernel.shutdown();
    }
}

#[test]
fn waits_are_allowed_at_apc_level() {
    in_settings_of(seeded_kernels(), |_, s| {
        at_irql(APC_LEVEL, || {
            // As under a fast mutex, for everything from opening to closing.
            let socket = wsk::DatagramSocket::open(&s.provider, Family::V4).unwrap();
            socket.bind(Family::V4.any()).unwrap();
            let local = socket.local_address().unwrap();
            assert_eq!(socket.send_to(b"at 1", s.to).wait(), Ok(4));
            s.says(b"at 1");
            let to = std::net::SocketAddr::from(([127, 0, 0, 1], local.port()));
            s.peer.send_to(b"back", to).unwrap();
            let mut room = [0; 8];
            let received = socket.receive_from(&mut room).wait_timeout(PATIENCE);
            assert_eq!(received.unwrap().length(), 4);
            let cancel = Cancel::new().unwrap();
            let received = socket.receive_from(&mut room);
            let received = received.wait_until_or_timeout(&cancel, MOMENT);
            assert!(matches!(received, Err(Error::TimedOut { .. })));
            wsk::scope(|scope| {
                let sending = socket.send_to(b"scope", s.to).start_in(scope).unwrap();
                assert_eq!(sending.wait().unwrap().0, 5);
            })
            .unwrap();
            s.says(b"scope");
            let sending = socket.send_to(NonPagedBuffer::copy_of(b"own").unwrap(), s.to);
            assert_eq!(sending.start().unwrap().wait().unwrap().result, Ok(3));
            s.says(b"own");
            socket.close().unwrap();

            // Functions of WSK that require PASSIVE_LEVEL still require it.
            let wrong = Error::WrongIrql {
                current: APC_LEVEL,
                limit: 0,
            };
            assert_eq!(s.provider.resolve("127.0.0.1").wait().unwrap_err(), wrong);
            assert_eq!(s.registration.capture(wsk::Wait::No).unwrap_err(), wrong);
        });
    });
}

#[test]
fn a_connection_is_waited_for_at_apc_level() {
    for kernel in seeded_kernels() {
        let s = Setting::new();
        at_irql(APC_LEVEL, || {
            let (socket, mut peer) = s.connection();
            assert_eq!(socket.send(b"up").wait(), Ok(2));
            peer.write_all(b"down").unwrap();
            let mut bytes = [0; 4];
            assert_eq!(socket.receive_exact(&mut bytes).wait(), Ok(()));
            socket.disconnect().wait_timeout(PATIENCE).unwrap();
            drop(peer);
            socket.close().unwrap();
        });
        drop(s);
        kernel.shutdown();
    }
}
