//! Pools of operations: an operation carries a packet that belongs to somebody else, and returns it with the result. The driver
//! can wait for everything in flight.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use wsk::operation::{Operations, PreparedPool};
use wsk::option::TimeToLive;
use wsk::{BufferPool, Error, Messages, NonPagedBuffer};
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, at_irql};

use crate::setting::{
    Counted, LOOPBACK, MOMENT, PATIENCE, Setting, block_on, bound, in_settings_of, kernels,
    seeded_kernels, until,
};

/// Longer than any room inside an operation, so that a copy would need an allocation.
const LONG: usize = 30_000;

/// A packet, and the address of its bytes.
fn packet(length: usize, byte: u8) -> (NonPagedBuffer, *const u8) {
    let mut packet = NonPagedBuffer::new(length).unwrap();
    packet.as_mut_slice().fill(byte);
    let place = packet.as_slice().as_ptr();
    (packet, place)
}

#[test]
fn foreign_packets_ride_in_operations_and_come_back_without_an_allocation() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let operations = Operations::new(&s.provider, 2).unwrap();
        let (told, tells) = channel();
        let packets: Vec<_> = (0..8).map(|n| packet(LONG, n)).collect();
        let before = kernel.counts();
        let mut bytes = vec![0; LONG + 1];
        // The next allocation of any kind would fail.
        kernel.fail_nth_allocation(1);
        for (n, (packet, place)) in (0_u8..).zip(packets) {
            let request = s.socket.send_to(packet, s.to).from(&operations);
            let finished = match n % 4 {
                0 => request.start().unwrap().wait().unwrap(),
                1 => block_on(async { request.await }),
                2 => {
                    let told = told.clone();
                    request
                        .start_with(move |finished| told.send(finished).unwrap())
                        .unwrap();
                    tells.recv_timeout(PATIENCE).unwrap()
                }
                _ => at_irql(DISPATCH_LEVEL, || {
                    let mut started = request.start().unwrap();
                    loop {
                        match started.try_take() {
                            Ok(finished) => break finished,
                            Err(again) => started = again,
                        }
                    }
                }),
            };
            assert_eq!(finished.result.unwrap(), LONG);
            let packet = finished.buffer.unwrap();
            assert_eq!(packet.as_slice().as_ptr(), place, "the same memory");
            assert_eq!(s.peer.recv(&mut bytes).unwrap(), LONG);
            assert!(bytes[..LONG].iter().all(|byte| *byte == n));
            // It can also be received into.
            s.hears(&[n; 9]);
            let request = s.socket.receive_from(packet).from(&operations);
            let finished = request.start().unwrap().wait().unwrap();
            assert_eq!(finished.result.unwrap().length(), 9);
            let packet = finished.buffer.unwrap();
            assert_eq!(packet.as_slice().as_ptr(), place, "the same memory");
            assert_eq!(packet.as_slice()[..9], [n; 9]);
        }
        assert_eq!(kernel.counts().allocations(), before.allocations());
        assert_eq!(kernel.counts().faults, before.faults);
        // The plan was active: this allocation fails.
        assert!(NonPagedBuffer::new(4).is_err());
        operations.wait_until_idle().unwrap();
    });
}

#[test]
fn lists_of_foreign_packets_ride_in_operations_without_an_allocation() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let operations = Operations::new(&s.provider, 2).unwrap();
        let mut packets = vec![packet(LONG, 1), packet(LONG, 2), packet(0, 3), packet(5, 4)];
        let mut messages = Messages::with_capacity(packets.len()).unwrap();
        let (told, tells) = channel();
        let mut bytes = vec![0; LONG + 1];
        let before = kernel.counts().allocations();
        kernel.fail_nth_allocation(1);
        for round in 0..6 {
            // As many as this round has. The list is used again.
            let places: Vec<_> = packets.iter().map(|(_, place)| *place).collect();
            let lengths: Vec<_> = packets.iter().map(|(packet, _)| packet.len()).collect();
            for (packet, _) in packets.drain(..) {
                assert!(messages.push(packet).is_ok());
            }
            let request = s.socket.send_messages(messages, s.to).from(&operations);
            let finished = if round % 2 == 0 {
                request.start().unwrap().wait().unwrap()
            } else {
                let told = told.clone();
                request
                    .start_with(move |finished| told.send(finished).unwrap())
                    .unwrap();
                tells.recv_timeout(PATIENCE).unwrap()
            };
            assert_eq!(finished.result.unwrap(), lengths.iter().sum());
            let mut arrived: Vec<_> = places
                .iter()
                .map(|_| s.peer.recv(&mut bytes).unwrap())
                .collect();
            arrived.sort_unstable();
            let mut expected = lengths.clone();
            expected.sort_unstable();
            assert_eq!(arrived, expected);
            messages = finished.buffer.unwrap();
            for place in places.iter().rev() {
                let packet = messages.pop().unwrap();
                assert_eq!(packet.as_slice().as_ptr(), *place, "the same memory");
                packets.insert(0, (packet, *place));
            }
            assert!(messages.is_empty());
        }
        assert_eq!(kernel.counts().allocations(), before);
        assert!(NonPagedBuffer::new(4).is_err(), "the plan must be active");
    });
}

#[test]
fn an_empty_pool_gives_the_packet_back() {
    in_settings_of(kernels(), |_, s| {
        let operations = Operations::new(&s.provider, 1).unwrap();
        let taken = operations.take().unwrap();
        let (one, place) = packet(4, 1);
        let refused = s
            .socket
            .send_to(one, s.to)
            .from(&operations)
            .start()
            .unwrap_err();
        assert_eq!(refused.error, Error::PoolEmpty);
        assert_eq!(refused.buffer.as_slice().as_ptr(), place);
        let called = Arc::new(AtomicBool::new(false));
        let call = called.clone();
        let refused = s
            .socket
            .send_to(refused.buffer, s.to)
            .from(&operations)
            .start_with(move |_| call.store(true, Ordering::SeqCst))
            .unwrap_err();
        assert_eq!(refused.error, Error::PoolEmpty);
        assert!(!called.load(Ordering::SeqCst) && Arc::strong_count(&called) == 1);
        let request = s.socket.receive_from(refused.buffer).from(&operations);
        let finished = block_on(async { request.await });
        assert_eq!(finished.result.unwrap_err(), Error::PoolEmpty);
        let one = finished.buffer.unwrap();
        assert_eq!(one.as_slice().as_ptr(), place);

        // An operation that was taken can be used. A mistake returns it.
        let wrong = s
            .socket
            .send_to(one, "[::1]:9".parse::<std::net::SocketAddr>().unwrap());
        let refused = wrong.from(taken).start().unwrap_err();
        assert!(matches!(refused.error, Error::WrongFamily { .. }));
        assert_eq!(refused.buffer.as_slice().as_ptr(), place);
        assert!(operations.is_idle());
        let taken = operations.take_or_wait().unwrap();
        let request = s.socket.send_to(refused.buffer, s.to).from(taken);
        assert_eq!(
            operations.take_timeout(MOMENT / 10).map(drop),
            Err(Error::PoolEmpty)
        );
        assert_eq!(request.start().unwrap().wait().unwrap().result, Ok(4));
        s.says(&[1; 4]);
        drop(operations.take_timeout(PATIENCE).unwrap());
        // Requests without a buffer fail with the error alone.
        let nothing = Operations::<()>::new(&s.provider, 1).unwrap();
        let _taken = nothing.take();
        let refused = s.socket.option::<TimeToLive>().from(&nothing).start();
        assert_eq!(refused.map(drop).unwrap_err(), Error::PoolEmpty);
    });
}

#[test]
fn one_operation_does_what_it_is_asked_next() {
    in_settings_of(seeded_kernels(), |_, s| {
        let operations = Operations::new(&s.provider, 1).unwrap();
        let nothing = Operations::<()>::new(&s.provider, 1).unwrap();
        let fixed = bound(&s.provider, wsk::Family::V4, LOOPBACK)
            .fix_destination(s.to)
            .unwrap();
        let (mut buffer, _) = packet(4, 7);
        for ttl in 1..5 {
            let sent = s.socket.send_to(buffer, s.to).from(&operations).start();
            let finished = sent.unwrap().wait().unwrap();
            assert_eq!(finished.result, Ok(4));
            s.says(&[7; 4]);
            // A cancelled receive uses the same operation between the two sends.
            let receive = s
                .socket
                .receive_from(finished.buffer.unwrap())
                .from(&operations);
            let receive = receive.start().unwrap();
            receive.cancel();
            let finished = receive.wait().unwrap();
            assert!(finished.result.is_err());
            let sent = fixed
                .send(finished.buffer.unwrap())
                .from(&operations)
                .start();
            buffer = sent.unwrap().wait().unwrap().buffer.unwrap();
            s.says(&[7; 4]);
            s.hears(b"four");
            let receive = s.socket.receive_from(buffer).from(&operations).start();
            let finished = receive.unwrap().wait().unwrap();
            assert!(finished.result.unwrap().is_from(&s.to));
            buffer = finished.buffer.unwrap();
            buffer.as_mut_slice().fill(7);

            let setting = s.socket.set_option(TimeToLive(ttl)).from(&nothing).start();
            assert_eq!(setting.unwrap().wait().unwrap(), Ok(()));
            let reading = s.socket.option::<TimeToLive>().from(&nothing).start();
            assert_eq!(reading.unwrap().wait().unwrap(), Ok(TimeToLive(ttl)));
        }
    });
}

#[test]
fn what_is_in_flight_is_waited_for() {
    let policies = [
        (Completion::Deferred, 0),
        (Completion::Seeded, 1),
        (Completion::Seeded, 2),
    ];
    let kernels = policies
        .into_iter()
        .map(|(policy, seed)| Kernel::builder().completion(policy).seed(seed).boot());
    in_settings_of(kernels, |_, s| {
        let operations = Operations::new(&s.provider, 8).unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        operations.wait_until_idle().unwrap();
        for round in 1..10 {
            for _ in 0..8 {
                let counted = Counted::new(b"counted", &drops);
                let send = s.socket.send_to(counted, s.to).from(&operations);
                // Reported by a closure, or dropped in flight.
                if round % 2 == 0 {
                    send.start_with(drop).unwrap();
                } else {
                    drop(send.start().unwrap());
                }
            }
            operations.wait_until_idle().unwrap();
            assert!(operations.is_idle());
            assert_eq!(
                drops.load(Ordering::SeqCst),
                8 * round,
                "all operations have ended"
            );
        }
        // The wait for an operation that does not end runs out of time.
        let receive = s
            .socket
            .receive_from(Counted::new(b"", &drops))
            .from(&operations);
        let receive = receive.start().unwrap();
        assert_eq!(operations.wait_until_idle_timeout(MOMENT), Ok(false));
        assert!(!operations.is_idle());
        let before = Instant::now();
        std::thread::scope(|threads| {
            let waits = threads.spawn(|| operations.wait_until_idle_timeout(PATIENCE));
            std::thread::sleep(MOMENT);
            drop(receive);
            assert_eq!(waits.join().unwrap(), Ok(true));
        });
        assert!(
            before.elapsed() < PATIENCE / 2,
            "the pool wakes the waiting thread, which does not poll"
        );
        // Waiting is not allowed above PASSIVE_LEVEL.
        at_irql(DISPATCH_LEVEL, || {
            assert!(matches!(
                operations.wait_until_idle(),
                Err(Error::WrongIrql { .. })
            ));
        });
        // An operation whose handle is kept is not idle, and neither is one that was taken and not used.
        let taken = operations.take();
        assert_eq!(operations.wait_until_idle_timeout(MOMENT / 10), Ok(false));
        drop(taken);
        assert_eq!(operations.wait_until_idle_timeout(MOMENT / 10), Ok(true));
    });
}

#[test]
fn what_other_threads_start_meanwhile_is_waited_for_too() {
    in_settings_of(seeded_kernels(), |_, s| {
        let operations = Operations::new(&s.provider, 4).unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        let (started, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        let Ok(taken) = operations.take_timeout(MOMENT) else {
                            continue;
                        };
                        let counted = Counted::new(b"more", &drops);
                        let send = s.socket.send_to(counted, s.to);
                        send.from(taken).start_with(drop).unwrap();
                        started.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            // While other threads work, the result may vary. But the call neither hangs nor loses a waiting thread.
            let deadline = Instant::now() + MOMENT * 5;
            while Instant::now() < deadline {
                let _ = operations.wait_until_idle_timeout(MOMENT / 10).unwrap();
            }
            stop.store(true, Ordering::SeqCst);
        });
        operations.wait_until_idle().unwrap();
        let started = started.load(Ordering::SeqCst);
        assert!(started > 0);
        assert_eq!(drops.load(Ordering::SeqCst), started);
    });
}

#[test]
fn a_pool_may_go_before_what_is_in_flight() {
    for kernel in seeded_kernels() {
        let s = Setting::new(wsk::Family::V4, LOOPBACK);
        let drops = Arc::new(AtomicUsize::new(0));
        let operations = Operations::new(&s.provider, 4).unwrap();
        let other = operations.clone();
        assert_eq!(other.depth(), 4);
        let receive = s.socket.receive_from(Counted::new(&[0; 8], &drops));
        let receive = receive.from(&operations).start().unwrap();
        let send = s.socket.send_to(Counted::new(b"sent", &drops), s.to);
        send.from(&operations).start_with(drop).unwrap();
        let dropped = s.socket.receive_from(Counted::new(&[0; 8], &drops));
        drop(dropped.from(&other).start().unwrap());
        drop((operations, other));
        s.says(b"sent");
        until("the drops", || drops.load(Ordering::SeqCst) == 2);
        s.hears(b"last");
        let finished = receive.wait().unwrap();
        assert_eq!(finished.result.unwrap().length(), 4);
        drop(finished);
        assert_eq!(drops.load(Ordering::SeqCst), 3);
        drop(s);
        kernel.shutdown();
    }
}

#[test]
fn an_operation_is_back_when_its_completion_has_returned() {
    in_settings_of(seeded_kernels(), |_, s| {
        let operations = Operations::new(&s.provider, 1).unwrap();
        let (returned, seen) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (packet, _) = packet(4, 3);
        let (inside, idle, pool) = (returned.clone(), seen.clone(), operations.clone());
        // Four words are the largest closure that fits.
        let send = s.socket.send_to(packet, s.to).from(&operations);
        send.start_with(move |finished| {
            assert_eq!(finished.result, Ok(4));
            idle.store(pool.is_idle(), Ordering::SeqCst);
            std::thread::sleep(MOMENT);
            inside.store(true, Ordering::SeqCst);
        })
        .unwrap();
        operations.wait_until_idle().unwrap();
        assert!(
            returned.load(Ordering::SeqCst),
            "the completion has returned"
        );
        assert!(
            !seen.load(Ordering::SeqCst),
            "the operation is not idle before its completion has returned"
        );
        s.says(&[3; 4]);
    });
}

#[test]
fn a_completion_may_start_the_next_operation() {
    in_settings_of(seeded_kernels(), |_, s| {
        /// Sends one packet after the other, each from the completion of the one before.
        struct Chain {
            socket: wsk::DatagramSocket,
            to: wsk::RemoteAddress,
            operations: Operations<NonPagedBuffer>,
            left: AtomicUsize,
            done: Mutex<Vec<NonPagedBuffer>>,
        }

        fn next(chain: &Arc<Chain>, packet: NonPagedBuffer) {
            let (this, request) = (chain.clone(), chain.socket.send_to(packet, &chain.to));
            let told = move |finished: wsk::operation::Finished<usize, NonPagedBuffer>| {
                assert_eq!(finished.result, Ok(4));
                let packet = finished.buffer.unwrap();
                if this.left.fetch_sub(1, Ordering::SeqCst) > 1 {
                    next(&this, packet);
                } else {
                    this.done.lock().unwrap().push(packet);
                }
            };
            request.from(&chain.operations).start_with(told).unwrap();
        }

        // As many as the pool allows at once. The operation whose completion runs is not idle yet.
        let chain = Arc::new(Chain {
            socket: s.socket.clone(),
            to: wsk::RemoteAddress::new(wsk::Family::V4, s.to).unwrap(),
            operations: Operations::new(&s.provider, 20).unwrap(),
            left: AtomicUsize::new(20),
            done: Mutex::new(Vec::new()),
        });
        next(&chain, packet(4, 9).0);
        for _ in 0..20 {
            s.says(&[9; 4]);
        }
        chain.operations.wait_until_idle().unwrap();
        assert_eq!(chain.done.lock().unwrap().len(), 1);
    });
}

#[test]
fn every_operation_of_a_pool_is_there_once() {
    in_settings_of(kernels(), |_, s| {
        assert_eq!(
            Operations::<NonPagedBuffer>::new(&s.provider, 0)
                .map(drop)
                .unwrap_err(),
            Error::NoOperations
        );
        let operations = Operations::<NonPagedBuffer>::new(&s.provider, 5).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| operations.take()).collect();
        assert_eq!(taken.len(), 5);
        drop(taken);
        let sends: Vec<_> = (0..5)
            .map(|n| {
                let request = s.socket.receive_from(packet(4, n).0);
                request.from(&operations).start().unwrap()
            })
            .collect();
        assert!(operations.take().is_none());
        for n in 0..5 {
            s.hears(&[n; 4]);
        }
        let mut bytes = HashSet::new();
        for send in sends {
            let buffer = send.wait().unwrap().buffer.unwrap();
            bytes.insert(buffer.as_slice()[0]);
        }
        assert_eq!(bytes.len(), 5);
        assert!(operations.is_idle());
    });
}

#[test]
fn a_pool_of_prepared_operations_is_waited_for() {
    in_settings_of(seeded_kernels(), |_, s| {
        let senders = PreparedPool::new(4, |_| Ok(s.socket.send_to(packet(4, 1).0, s.to))).unwrap();
        for _ in 0..3 {
            for _ in 0..4 {
                drop(senders.take().unwrap().start().unwrap());
            }
            senders.wait_until_idle().unwrap();
            for _ in 0..4 {
                s.says(&[1; 4]);
            }
        }
        let sender = senders.take().unwrap();
        assert_eq!(senders.wait_until_idle_timeout(MOMENT / 10), Ok(false));
        let (told, tells) = channel();
        sender
            .start_with(move |ended| told.send(ended.into_operation().is_some()).unwrap())
            .unwrap();
        senders.wait_until_idle().unwrap();
        assert!(tells.recv().unwrap());
        assert!(senders.is_idle());
        let sender = senders.take();
        assert!(sender.is_some() && !senders.is_idle());
        drop(sender);
        s.says(&[1; 4]);
        assert_eq!(senders.wait_until_idle_timeout(MOMENT), Ok(true));
    });
}

/// The operations are not pooled: each is allocated for its request.
#[test]
fn a_pool_of_buffers_is_waited_for() {
    in_settings_of(seeded_kernels(), |kernel, s| {
        let buffers = BufferPool::new(4, |_| NonPagedBuffer::copy_of(b"four")).unwrap();
        assert!(buffers.is_idle());
        for _ in 0..3 {
            let taken = [(); 4].map(|()| buffers.take().unwrap());
            assert!(!buffers.is_idle());
            let [first, second, third, last] = taken;
            s.socket.send_to(first, s.to).start_with(drop).unwrap();
            drop(s.socket.send_to(second, s.to).start().unwrap());
            let handle = s.socket.send_to(third, s.to).start().unwrap();
            drop(last);
            for _ in 0..3 {
                s.says(b"four");
            }
            // The handle keeps its buffer, though the send has completed.
            assert_eq!(buffers.wait_until_idle_timeout(MOMENT / 10), Ok(false));
            drop(handle.wait().unwrap());
            buffers.wait_until_idle().unwrap();
            assert!(buffers.is_idle());
        }
        // A receive has its buffer until it is cancelled. Another thread waits.
        let buffer = buffers.take().unwrap();
        let receive = s.socket.receive_from(buffer).start().unwrap();
        thread::scope(|threads| {
            let waits = threads.spawn(|| buffers.wait_until_idle_timeout(PATIENCE));
            thread::sleep(MOMENT / 10);
            assert!(!waits.is_finished() && !buffers.is_idle());
            drop(receive);
            assert_eq!(waits.join().unwrap(), Ok(true));
        });
        wsk_host::at_irql(2, || {
            assert!(buffers.is_idle());
            assert!(matches!(
                buffers.wait_until_idle(),
                Err(Error::WrongIrql { .. })
            ));
        });
        until("nothing is in flight", || kernel.counts().in_flight == 0);
    });
}

/// A forgotten operation keeps its promise to the buffer: neither it nor the pool's memory is used again.
#[test]
fn an_operation_that_is_forgotten_is_not_back() {
    let kernel = Kernel::boot();
    let s = Setting::new(wsk::Family::V4, LOOPBACK);
    let operations = Operations::new(&s.provider, 2).unwrap();
    let send = s
        .socket
        .send_to(packet(4, 1).0, s.to)
        .from(&operations)
        .start()
        .unwrap();
    let kept = Box::leak(Box::new(send));
    s.says(&[1; 4]);
    assert_eq!(operations.wait_until_idle_timeout(MOMENT / 10), Ok(false));
    // SAFETY: leaked above, and not used any more.
    drop(unsafe { Box::from_raw(kept) });
    operations.wait_until_idle().unwrap();
    drop((operations, s));
    kernel.shutdown();
}
