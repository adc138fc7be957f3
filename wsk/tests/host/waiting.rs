//! Waiting: what had come when a wait ends before its time, and what ends it.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;

use wsk::operation::Operations;
use wsk::{Call, ConnectedSocket, Error, NTSTATUS, NonPagedBuffer};
use wsk_host::Deviation::{self, CancelLosesBytes, CancelTellsBytes};
use wsk_host::{Completion, Kernel};
use wsk_sys::{
    STATUS_CANCELLED, STATUS_CONNECTION_RESET, STATUS_END_OF_FILE, STATUS_INVALID_DEVICE_STATE,
    STATUS_IO_TIMEOUT, STATUS_SUCCESS,
};

use crate::connection::Setting;
use crate::setting::{MOMENT, PATIENCE, block_on, is_reset};

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

/// The peer says the rest of what it began to say, and all of it arrives.
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
        // Nothing had come.
        let received = socket.receive_all(&mut bytes).wait_timeout(MOMENT);
        let call = Call::WskReceive;
        assert_eq!(received, Err(Error::TimedOut { call }));
        goes_on(socket, peer, b"more");

        // In parts that come one after the other.
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

        // Taken up once, and then cancelled.
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

        // Told, and from a pool.
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
        // With something unread it sees a reset.
        socket.send(b"unread").wait().unwrap();
        std::thread::sleep(MOMENT);
        drop(peer);
        let finished = receiving.wait().unwrap();
        assert_eq!(finished.result, short(3, STATUS_CONNECTION_RESET));
        assert_eq!(&finished.buffer.unwrap().as_slice()[..3], b"brk");
        // What had come before there was an error is none of the next one's.
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
        assert_eq!(socket.receive_exact(&mut []).wait(), Ok(()), "full at once");

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
    assert!(ended.to_string().contains("3 bytes had come"), "{ended}");
    // The same call would overwrite what has come.
    assert!(!of(STATUS_CANCELLED).is_transient());
    assert!(of(wsk_sys::STATUS_FILE_FORCED_CLOSED).must_close());
    for status in [STATUS_IO_TIMEOUT, STATUS_INVALID_DEVICE_STATE] {
        assert_eq!(NTSTATUS::from(of(status)), status);
        assert_ne!(NTSTATUS::from(of(status)), STATUS_SUCCESS);
    }
}
