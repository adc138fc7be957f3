//! Prepared receives that fill their buffer. A run is as many IRPs as it takes, and an operation is run again and again.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::operation::{Ended, Prepared, PreparedPool, Started};
use wsk::request::{All, ReceivingAll, ReceivingExact};
use wsk::{Call, Cancel, ConnectedSocket, Error, MdlChain, NonPagedBuffer, ReceiveBuffer};
use wsk_host::{Completion, Deviation, Kernel};
use wsk_sys::{STATUS_CANCELLED, STATUS_END_OF_FILE, STATUS_IO_TIMEOUT};

use crate::connection::Setting;
use crate::deviations::{with_connections, with_short_receives};
use crate::setting::{Counted, FAST, MOMENT, PATIENCE, block_on, until};

type Filling = Prepared<ReceivingAll, All<NonPagedBuffer>>;
type FillingAll = Prepared<ReceivingExact, All<NonPagedBuffer>>;

fn room() -> NonPagedBuffer {
    NonPagedBuffer::new(6).unwrap()
}

fn filling(socket: &ConnectedSocket) -> Filling {
    socket.receive_all(room()).prepare().unwrap()
}

/// Sends six bytes in two halves.
fn halves(peer: &mut TcpStream, bytes: &[u8]) {
    peer.write_all(&bytes[..3]).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    peer.write_all(&bytes[3..]).unwrap();
}

/// The operation of a run that has filled its buffer with `bytes`.
fn filled(ended: Ended<ReceivingAll, All<NonPagedBuffer>>, bytes: &[u8]) -> Filling {
    let arrival = ended.result().unwrap();
    assert_eq!((arrival.length(), arrival.bytes()), (6, bytes));
    assert_eq!(arrival.control().count(), 0);
    ended.into_operation().unwrap()
}

/// Starts a run that calls back, and returns the operation with the result.
fn told(prepared: Filling, meanwhile: impl FnOnce()) -> Ended<ReceivingAll, All<NonPagedBuffer>> {
    let (sender, told) = channel();
    let tell = move |ended| drop(sender.send(ended));
    prepared.start_with(tell).unwrap();
    meanwhile();
    told.recv_timeout(PATIENCE).unwrap()
}

fn polled(
    started: Started<ReceivingAll, All<NonPagedBuffer>>,
) -> Ended<ReceivingAll, All<NonPagedBuffer>> {
    let mut started = started;
    loop {
        match started.try_take() {
            Ok(ended) => return ended,
            Err(again) => started = again,
        }
        std::thread::yield_now();
    }
}

/// Every way to run it goes on until the buffer is full. Each way follows every other, since they leave the operation to different
/// completion routines.
#[test]
fn a_run_goes_on_until_the_buffer_is_full() {
    for most in [1, 4, 6] {
        with_short_receives(most, |_, socket, peer| {
            let mut prepared = filling(socket);
            let nobody = Cancel::new().unwrap();
            for round in 0..2 {
                peer.write_all(b"waited").unwrap();
                let arrival = prepared.wait().unwrap();
                assert_eq!((arrival.length(), arrival.bytes()), (6, &b"waited"[..]));
                assert_eq!(prepared.seen().unwrap().bytes(), b"waited");

                prepared = filled(told(prepared, || halves(peer, b"told 1")), b"told 1");
                peer.write_all(b"limits").unwrap();
                let arrival = prepared.wait_timeout(PATIENCE).unwrap();
                assert_eq!(arrival.bytes(), b"limits");

                let started = prepared.start().unwrap();
                halves(peer, b"handle");
                prepared = filled(started.wait().unwrap(), b"handle");
                prepared = filled(told(prepared, || halves(peer, b"told 2")), b"told 2");

                let started = prepared.start().unwrap();
                halves(peer, b"awaits");
                prepared = filled(block_on(started), b"awaits");

                peer.write_all(b"cancel").unwrap();
                let arrival = prepared.wait_until(&nobody).unwrap();
                assert_eq!(arrival.bytes(), b"cancel");

                let started = prepared.start().unwrap();
                halves(peer, b"polled");
                prepared = filled(polled(started), b"polled");

                let started = prepared.start().unwrap();
                halves(peer, b"before");
                prepared = filled(started.wait_timeout(PATIENCE).unwrap(), b"before");
                let started = prepared.start().unwrap();
                halves(peer, b"either");
                let ended = started.wait_until_or_timeout(&nobody, PATIENCE).unwrap();
                prepared = filled(ended, b"either");

                // The buffer is another one then, as far as the operation knows.
                prepared.set_len(2 + round).unwrap();
                peer.write_all(&b"short"[..2 + round]).unwrap();
                let arrival = prepared.wait().unwrap();
                assert_eq!(arrival.bytes(), &b"short"[..2 + round]);
                prepared.set_len(6).unwrap();
                prepared.buffer_mut().unwrap().as_mut_slice().fill(0xEE);
                assert_eq!(prepared.as_slice(), [0xEE; 6]);
            }
        });
    }
}

#[test]
fn a_run_allocates_nothing() {
    for policy in [Completion::Inline, Completion::Deferred] {
        let builder = Kernel::builder().completion(policy);
        let kernel = builder
            .deviation(Deviation::ShortReceives(NonZeroUsize::MIN))
            .boot();
        let s = Setting::new();
        let (socket, mut peer) = s.connection();
        let mut prepared = filling(&socket);
        let before = kernel.counts().allocations();
        for _ in 0..3 {
            peer.write_all(b"waited").unwrap();
            assert_eq!(prepared.wait().unwrap().length(), 6);
            prepared = filled(told(prepared, || halves(&mut peer, b"told 1")), b"told 1");
        }
        assert_eq!(kernel.counts().allocations(), before);
        drop((prepared, socket, s));
        kernel.shutdown();
    }
}

#[test]
fn what_is_exact_is_all_or_an_error() {
    with_short_receives(4, |_, socket, peer| {
        let mut prepared: FillingAll = socket.receive_exact(room()).prepare().unwrap();
        for bytes in [b"first1", b"second"] {
            peer.write_all(bytes).unwrap();
            assert_eq!(prepared.wait().unwrap().bytes(), bytes);
        }
        let started = prepared.start().unwrap();
        halves(peer, b"thirds");
        let ended = started.wait().unwrap();
        assert_eq!(ended.result().unwrap().bytes(), b"thirds");
        let mut prepared = ended.into_operation().unwrap();
        peer.write_all(b"end").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let short = |received| Error::Short {
            call: Call::WskReceive,
            received,
            status: STATUS_END_OF_FILE,
        };
        assert_eq!(prepared.wait().unwrap_err(), short(3));
        assert_eq!(prepared.seen().unwrap_err(), short(3));
        assert_eq!(prepared.wait().unwrap_err(), short(0));
    });
}

#[test]
fn a_run_ends_with_the_connection() {
    for shape in 0..4 {
        with_short_receives(2, |_, socket, peer| {
            let mut prepared = filling(socket);
            peer.write_all(b"before").unwrap();
            assert_eq!(prepared.wait().unwrap().length(), 6);
            let ends = |peer: &mut TcpStream| {
                peer.write_all(b"end").unwrap();
                peer.shutdown(Shutdown::Write).unwrap();
            };
            let mut prepared = match shape {
                0 => {
                    ends(peer);
                    assert_eq!(prepared.wait().unwrap().bytes(), b"end");
                    prepared
                }
                1 => {
                    let ended = told(prepared, || ends(peer));
                    assert_eq!(ended.result().unwrap().bytes(), b"end");
                    ended.into_operation().unwrap()
                }
                _ => {
                    let started = prepared.start().unwrap();
                    ends(peer);
                    let ended = match shape {
                        2 => started.wait().unwrap(),
                        _ => block_on(started),
                    };
                    assert_eq!(ended.result().unwrap().bytes(), b"end");
                    ended.into_operation().unwrap()
                }
            };
            // Nothing of the run before counts.
            assert_eq!(prepared.wait().unwrap().length(), 0);
        });
    }
}

/// Bytes that have come are told, whatever ends the run. The next run begins at the start of the buffer.
#[test]
fn a_run_that_cannot_go_on_is_an_error() {
    with_short_receives(3, |_, socket, peer| {
        let short = |received, status| Error::Short {
            call: Call::WskReceive,
            received,
            status,
        };
        let call = Call::WskReceive;
        let mut prepared = filling(socket);
        // The time runs out between two pieces, or before the first.
        peer.write_all(b"tim").unwrap();
        let error = prepared.wait_timeout(MOMENT).unwrap_err();
        assert_eq!(error, short(3, STATUS_IO_TIMEOUT));
        assert_eq!(&prepared.as_slice()[..3], b"tim");
        let error = prepared.wait_timeout(MOMENT).unwrap_err();
        assert_eq!(error, Error::TimedOut { call });

        // Another thread cancels.
        let cancel = Cancel::new().unwrap();
        peer.write_all(b"can").unwrap();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(MOMENT);
                cancel.cancel();
            });
            prepared.wait_until(&cancel).unwrap_err()
        });
        assert_eq!(error, short(3, STATUS_CANCELLED));
        peer.write_all(b"waited").unwrap();
        assert_eq!(prepared.wait().unwrap().bytes(), b"waited");

        // Cancelled after a piece has arrived.
        let started = prepared.start().unwrap();
        peer.write_all(b"one").unwrap();
        until("the piece", || started.is_completed());
        started.cancel();
        let ended = started.wait().unwrap();
        assert_eq!(ended.result().unwrap_err(), short(3, STATUS_CANCELLED));
        let prepared = ended.into_operation().unwrap();
        assert_eq!(prepared.seen().unwrap_err(), short(3, STATUS_CANCELLED));

        let started = prepared.start().unwrap();
        peer.write_all(b"two").unwrap();
        until("the piece", || started.is_completed());
        let ended = started.give_up().unwrap();
        assert_eq!(ended.result().unwrap_err(), short(3, STATUS_CANCELLED));
        let prepared = ended.into_operation().unwrap();

        // The limit is that of the run, not of a piece. The run goes on.
        let started = prepared.start().unwrap();
        peer.write_all(b"thr").unwrap();
        until("the piece", || started.is_completed());
        let (error, started) = started.wait_timeout(MOMENT).unwrap_err();
        assert_eq!(error, Error::TimedOut { call });
        let started = started.try_take().unwrap_err();
        peer.write_all(b"ee!").unwrap();
        let prepared = filled(started.wait().unwrap(), b"three!");

        let ended = told(prepared, || halves(peer, b"closed"));
        let mut prepared = filled(ended, b"closed");
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(prepared.wait().unwrap().length(), 0);
    });
}

/// A run that may end early asks for the bytes that there are: a provider may lose those of a request for all that is cancelled.
#[test]
fn a_run_with_a_limit_loses_nothing() {
    with_connections(Deviation::CancelLosesBytes, |_, socket, peer| {
        let mut prepared = filling(socket);
        for _ in 0..2 {
            peer.write_all(b"tim").unwrap();
            let error = prepared.wait_timeout(MOMENT).unwrap_err();
            assert!(matches!(error, Error::Short { received: 3, .. }), "{error}");
            assert_eq!(&prepared.as_slice()[..3], b"tim");
            // Without a limit it waits for all of them in one request.
            halves(peer, b"waited");
            assert_eq!(prepared.wait().unwrap().bytes(), b"waited");
        }
    });
}

/// An operation that is dropped in the middle of a run returns to its pool, whichever way it ran before. The completion of that run is
/// not called again.
#[test]
fn a_run_that_is_dropped_goes_back() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    with_short_receives(3, |_, socket, peer| {
        let drops = Arc::new(AtomicUsize::new(0));
        let counted = |_| Ok(socket.receive_all(Counted::new(&[0; 6], &drops)));
        let pool = PreparedPool::new(2, counted).unwrap();
        for piece in [false, true] {
            for told_before in [false, true] {
                let mut prepared = pool.take().unwrap();
                let calls = CALLS.load(Ordering::SeqCst);
                if told_before {
                    let (sender, told) = channel();
                    let sender = Mutex::new(Some(sender));
                    let sender: &'static _ = Box::leak(Box::new(sender));
                    let tell = move |ended| {
                        CALLS.fetch_add(1, Ordering::SeqCst);
                        if let Some(sender) = sender.lock().unwrap().take() {
                            sender.send(ended).unwrap();
                        }
                    };
                    prepared.start_with(tell).unwrap();
                    halves(peer, b"before");
                    let ended: Ended<_, _> = told.recv_timeout(PATIENCE).unwrap();
                    assert_eq!(ended.result().unwrap().length(), 6);
                    prepared = ended.into_operation().unwrap();
                }
                let started = prepared.start().unwrap();
                if piece {
                    peer.write_all(b"one").unwrap();
                    until("the piece", || started.is_completed());
                }
                drop(started);
                pool.wait_until_idle().unwrap();
                let calls = CALLS.load(Ordering::SeqCst) - calls;
                assert_eq!(calls, usize::from(told_before));
            }
        }
        // Both are there, and fill a buffer from its start.
        let mut both = [pool.take().unwrap(), pool.take().unwrap()];
        for prepared in &mut both {
            peer.write_all(b"filled").unwrap();
            assert_eq!(prepared.wait().unwrap().length(), 6);
        }
        drop((both, pool));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

/// When several pieces are available at once, a completion routine does not receive the next one. That would overflow the stack.
#[test]
fn many_pieces_take_no_stack() {
    let builder = Kernel::builder().deviation(Deviation::ShortReceives(NonZeroUsize::MIN));
    let kernel = builder.backtraces(false).boot();
    let s = Setting::new();
    let (socket, mut peer) = s.connection();
    let sent: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let there = |peer: &mut TcpStream| {
        peer.write_all(&sent).unwrap();
        std::thread::sleep(MOMENT);
    };
    let room = NonPagedBuffer::new(sent.len()).unwrap();
    let mut prepared = socket.receive_all(room).prepare().unwrap();
    there(&mut peer);
    assert_eq!(prepared.wait().unwrap().bytes(), sent);
    there(&mut peer);
    let ended = told(prepared, || ());
    assert_eq!(ended.result().unwrap().bytes(), sent);
    there(&mut peer);
    let ended = block_on(ended.into_operation().unwrap().start().unwrap());
    assert_eq!(ended.result().unwrap().bytes(), sent);
    drop((ended, socket, s));
    kernel.shutdown();
}

#[test]
fn the_rest_is_found_in_chains_again_and_again() {
    for most in [1, 2, 3, 5] {
        with_short_receives(most, |_, socket, peer| {
            let part = |length| NonPagedBuffer::new(length).unwrap();
            // The range begins inside the first part and ends inside the last.
            let mut chain = MdlChain::new([part(4), part(1), part(8)]);
            chain.set_range(3, 9).unwrap();
            let mut prepared = socket.receive_all(chain).prepare().unwrap();
            for bytes in [b"123456789", b"987654321"] {
                peer.write_all(bytes).unwrap();
                assert_eq!(prepared.wait().unwrap().length(), 9);
                let chain = prepared.buffer().unwrap();
                let parts = [0, 1, 2].map(|part| chain.part(part).unwrap());
                let ends = [&parts[0][3..], parts[1], &parts[2][..7]];
                assert_eq!(ends.concat(), bytes);
            }
        });
    }
}

/// A request that cannot be prepared gives its buffer back.
#[test]
fn a_buffer_comes_back_when_nothing_was_prepared() {
    let kernel = Kernel::boot();
    let s = Setting::new();
    let (socket, _peer) = s.connection();
    let request = socket.receive_all(room());
    kernel.fail_nth_allocation(1);
    let refused = request.prepare().unwrap_err();
    assert!(matches!(refused.error, Error::NoMemory(_)), "{refused}");
    assert_eq!(refused.buffer.len(), 6);
    drop((refused, socket, s));
    kernel.shutdown();
}

/// The error of a run whose time runs out after its first piece. If the piece comes after that, the run begins once more.
fn ends_after_a_piece<B: ReceiveBuffer>(
    prepared: &mut Prepared<ReceivingAll, All<B>>,
    peer: &mut TcpStream,
) -> Error {
    loop {
        match prepared.wait_timeout(MOMENT).map(|_| ()) {
            Err(Error::Short { .. }) => peer.write_all(b"tim").unwrap(),
            ended => return ended.unwrap_err(),
        }
    }
}

/// A run that a provider keeps in its middle is left to it. The run does not go on when its IRP completes at last, and the operation is
/// back.
#[test]
fn a_run_that_is_abandoned_in_its_middle_comes_back() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        for (shape, told_before) in [0, 1, 2].into_iter().zip([false, true].into_iter().cycle()) {
            let builder = Kernel::builder().completion(policy).time_lapse(FAST);
            let builder = builder.deviation(Deviation::IgnoresCancel);
            let most = NonZeroUsize::new(3).unwrap();
            let kernel = builder.deviation(Deviation::ShortReceives(most)).boot();
            let s = Setting::new();
            let (socket, mut peer) = s.connection();
            let drops = Arc::new(AtomicUsize::new(0));
            let counted = |_| Ok(socket.receive_all(Counted::new(&[0; 6], &drops)));
            let pool = PreparedPool::new(1, counted).unwrap();
            let mut prepared = pool.take().unwrap();
            if told_before {
                let (sender, told) = channel();
                let tell = move |ended| drop(sender.send(ended));
                prepared.start_with(tell).unwrap();
                halves(&mut peer, b"before");
                let ended: Ended<_, _> = told.recv_timeout(PATIENCE).unwrap();
                prepared = ended.into_operation().unwrap();
            }
            peer.write_all(b"tim").unwrap();
            let mut kept = None;
            match shape {
                0 => {
                    let error = ends_after_a_piece(&mut prepared, &mut peer);
                    assert!(matches!(error, Error::Abandoned { .. }), "{error}");
                    assert!(prepared.is_abandoned());
                    kept = Some(prepared);
                }
                1 => {
                    let error = ends_after_a_piece(&mut prepared, &mut peer);
                    assert!(matches!(error, Error::Abandoned { .. }), "{error}");
                    drop(prepared);
                }
                _ => {
                    let started = prepared.start().unwrap();
                    until("the piece", || started.is_completed());
                    let (_, started) = started.wait_timeout(MOMENT).unwrap_err();
                    let ended = started.give_up().unwrap();
                    let error = ended.result().unwrap_err();
                    assert!(matches!(error, Error::Abandoned { .. }), "{error}");
                    assert!(ended.into_operation().is_none());
                }
            }
            assert!(!pool.is_idle());
            // Less than the rest.
            peer.write_all(b"x").unwrap();
            std::thread::sleep(MOMENT);
            drop(kept);
            pool.wait_until_idle().unwrap();
            let mut prepared = pool.take().unwrap();
            peer.write_all(b"filled").unwrap();
            assert_eq!(prepared.wait().unwrap().length(), 6);
            drop((prepared, pool));
            assert_eq!(drops.load(Ordering::SeqCst), 1);
            drop((socket, s));
            kernel.shutdown();
        }
    }
}

/// The result of a run stays as it was until the next run, whatever becomes of the buffer.
#[test]
fn a_result_stays_when_the_buffer_is_changed() {
    with_short_receives(4, |_, socket, peer| {
        let mut all = filling(socket);
        let mut exact: FillingAll = socket.receive_exact(room()).prepare().unwrap();
        peer.write_all(b"all of it is").unwrap();
        assert_eq!(all.wait().unwrap().bytes(), b"all of");
        assert_eq!(exact.wait().unwrap().bytes(), b" it is");
        for length in [6, 3, 6] {
            all.set_len(length).unwrap();
            exact.set_len(length).unwrap();
            assert_eq!(all.seen().unwrap().length(), 6);
            assert_eq!(exact.seen().unwrap().length(), 6);
        }
        let mut long: FillingAll = {
            let buffer = NonPagedBuffer::new(8).unwrap();
            socket.receive_exact(buffer).prepare().unwrap()
        };
        long.set_len(6).unwrap();
        peer.write_all(b"longer14 bytes").unwrap();
        assert_eq!(long.wait().unwrap().bytes(), b"longer");
        long.set_len(8).unwrap();
        assert_eq!(long.seen().unwrap().bytes(), b"longer");
        assert_eq!(long.wait().unwrap().bytes(), b"14 bytes");
    });
}
