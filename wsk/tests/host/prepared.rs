//! Prepared operations: they are built once and run again and again, from a pool or on their own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use wsk::operation::{Prepared, PreparedPool};
use wsk::request::SendingTo;
use wsk::{Call, DatagramSocket, Error, Family, NonPagedBuffer};
use wsk_host::{Kernel, Resource};
use wsk_sys::{STATUS_CANCELLED, STATUS_NOT_IMPLEMENTED};

use crate::setting::{
    FAST, LOOPBACK, MOMENT, PATIENCE, Setting, Wakes, in_each_setting, in_settings_of, kernels,
    kernels_at, peer, until,
};

fn buffer(length: usize) -> NonPagedBuffer {
    NonPagedBuffer::new(length).unwrap()
}

#[test]
fn a_sender_sends_what_its_buffer_holds_at_that_moment() {
    in_each_setting(|_, s| {
        let mut sender = s.socket.send_to(buffer(8), s.to).prepare().unwrap();
        assert_eq!(sender.remote_address(), Some(s.to));
        for number in 0..4_u8 {
            sender.as_mut_slice().fill(number);
            assert_eq!(sender.wait().unwrap(), 8);
            s.says(&[number; 8]);
        }
        sender.set_len(3).unwrap();
        assert_eq!((sender.as_slice().len(), sender.capacity()), (3, 8));
        assert_eq!(sender.wait_timeout(PATIENCE).unwrap(), 3);
        s.says(&[3; 3]);
        sender.set_len(0).unwrap();
        assert_eq!(sender.wait().unwrap(), 0);
        s.says(&[]);
        assert_eq!(
            sender.set_len(9).unwrap_err(),
            Error::OutOfBounds { end: 9, length: 8 }
        );

        let (other, to) = peer(LOOPBACK);
        sender.set_len(8).unwrap();
        sender.set_remote_address(to).unwrap();
        assert_eq!(sender.wait().unwrap(), 8);
        assert_eq!(other.recv(&mut [0; 16]).unwrap(), 8);
    });
}

#[test]
fn what_is_wrong_is_found_when_the_sender_is_made() {
    in_each_setting(|_, s| {
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let wrong = Error::WrongFamily {
            socket: Family::V4,
            address: Family::V6,
        };
        let too_long = Error::DatagramTooLong {
            length: 65_508,
            limit: 65_507,
        };
        for (length, to, expected) in [
            (1, v6, wrong),
            (1, nowhere, Error::PortZero),
            (65_508, s.to, too_long),
        ] {
            let refused = s.socket.send_to(buffer(length), to).prepare().unwrap_err();
            assert_eq!(refused.error, expected);
            assert_eq!(refused.buffer.len(), length);
            let several = PreparedPool::new(2, |_| Ok(s.socket.send_to(buffer(length), to)));
            assert_eq!(several.unwrap_err(), expected);
        }
        let mut sender = s.socket.send_to(buffer(4), s.to).prepare().unwrap();
        assert_eq!(sender.set_remote_address(v6).unwrap_err(), wrong);
        assert_eq!(
            sender.set_remote_address(nowhere).unwrap_err(),
            Error::PortZero
        );
        assert_eq!(sender.remote_address(), Some(s.to));
        assert_eq!(sender.wait().unwrap(), 4);
        s.says(&[0; 4]);

        let mut long = buffer(65_508);
        long.set_len(1).unwrap();
        let mut sender = s.socket.send_to(long, s.to).prepare().unwrap();
        assert_eq!(sender.set_len(65_508).unwrap_err(), too_long);
        sender.set_len(65_507).unwrap();

        let unbound = DatagramSocket::open(&s.provider, Family::V4).unwrap();
        let refused = unbound.send_to(buffer(1), s.to).prepare().unwrap_err();
        assert_eq!(refused.error, Error::NotBound);
        let refused = unbound.receive_from(buffer(1)).prepare().unwrap_err();
        assert_eq!(refused.error, Error::NotBound);
        let refused = PreparedPool::new(3, |index| match index {
            2 => Err(Error::PoolEmpty),
            _ => Ok(s.socket.send_to(buffer(1), s.to)),
        });
        assert_eq!(refused.unwrap_err(), Error::PoolEmpty);
    });
}

#[test]
fn waiting_is_refused_above_passive_level() {
    in_each_setting(|_, s| {
        let mut sender = s.socket.send_to(buffer(1), s.to).prepare().unwrap();
        let mut receiver = s.socket.receive_from(buffer(1)).prepare().unwrap();
        let wrong = Error::WrongIrql {
            current: 2,
            limit: 1,
        };
        wsk_host::at_irql(2, || {
            assert_eq!(sender.wait().unwrap_err(), wrong);
            assert_eq!(receiver.wait().unwrap_err(), wrong);
            let sending = sender.start().unwrap();
            let (error, sending) = sending.wait().unwrap_err();
            assert_eq!(error, wrong);
            let (error, sending) = sending.wait_timeout(PATIENCE).unwrap_err();
            assert_eq!(error, wrong);
            drop(sending);
        });
        s.says(&[0]);
    });
}

#[test]
fn a_receiver_gives_one_datagram_after_the_other() {
    in_each_setting(|_, s| {
        let mut receiver = s.socket.receive_from(buffer(8)).prepare().unwrap();
        for bytes in [&b"one"[..], b"three", b""] {
            s.hears(bytes);
            let arrival = receiver.wait().unwrap();
            assert_eq!((arrival.bytes(), arrival.length()), (bytes, bytes.len()));
            assert_eq!(arrival.remote_address().unwrap(), s.to);
            assert!(arrival.is_from(&s.to));
            assert!(!arrival.is_from(&SocketAddr::new(s.to.ip(), s.to.port() ^ 1)));
            assert!(!arrival.is_from(&"[::1]:9".parse::<SocketAddr>().unwrap()));
            assert!(!arrival.is_truncated() && !arrival.is_broadcast() && !arrival.is_multicast());
        }
        s.hears(b"longer than eight");
        let arrival = receiver.wait_timeout(PATIENCE).unwrap();
        assert_eq!(arrival.bytes(), b"longer t");
        assert!(arrival.is_truncated());
        s.hears(b"short");
        assert!(!receiver.wait().unwrap().is_truncated());

        let error = receiver.wait_timeout(MOMENT).unwrap_err();
        let call = Call::WskReceiveFrom;
        assert_eq!(error, Error::TimedOut { call });
        s.hears(b"after");
        assert_eq!(receiver.wait().unwrap().bytes(), b"after");
    });
}

#[test]
fn the_end_of_a_receive_is_only_read() {
    in_each_setting(|_, setting| {
        let receiver = setting.socket.receive_from(buffer(4)).prepare().unwrap();
        let receiving = receiver.start().unwrap();
        setting.hears(b"too long");
        let ended = receiving.wait().unwrap();
        // Several threads read at once. A data race detector would report a write.
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    let arrival = ended.result().unwrap();
                    assert_eq!((arrival.length(), arrival.bytes()), (4, &b"too "[..]));
                });
            }
        });
        let receiver = ended.into_operation().unwrap();
        assert!(receiver.seen().unwrap().is_truncated());
        drop(receiver);
    });
}

#[test]
fn addresses_of_a_dual_mode_socket_are_mapped_both_ways() {
    let kernel = Kernel::boot();
    let s = Setting::new(Family::Dual, "0.0.0.0:0");
    let mut sender = s.socket.send_to(buffer(2), s.to).prepare().unwrap();
    assert_eq!(sender.wait().unwrap(), 2);
    let mut bytes = [0; 4];
    let (length, from) = s.peer.recv_from(&mut bytes).unwrap();
    assert_eq!(length, 2);
    s.peer.send_to(b"back", from).unwrap();
    let mut receiver = s.socket.receive_from(buffer(8)).prepare().unwrap();
    let arrival = receiver.wait().unwrap();
    assert_eq!(arrival.remote_address().unwrap(), s.to);
    assert!(arrival.is_from(&s.to));
    drop((sender, receiver));
    drop(s);
    kernel.shutdown();
}

#[test]
fn what_is_started_can_be_looked_at_waited_for_and_cancelled() {
    in_each_setting(|_, s| {
        let sender = s.socket.send_to(buffer(5), s.to).prepare().unwrap();
        let ended = sender.start().unwrap().wait().unwrap();
        assert_eq!(ended.result().unwrap(), 5);
        let sender = ended.into_operation().unwrap();
        let ended = sender.start().unwrap().wait_timeout(PATIENCE).unwrap();
        assert_eq!(ended.result().unwrap(), 5);
        s.says(&[0; 5]);
        s.says(&[0; 5]);

        let receiver = s.socket.receive_from(buffer(16)).prepare().unwrap();
        let receiving = receiver.start().unwrap();
        assert!(!receiving.is_completed());
        let receiving = receiving.try_take().unwrap_err();
        let (error, receiving) = receiving.wait_timeout(MOMENT).unwrap_err();
        let call = Call::WskReceiveFrom;
        assert_eq!(error, Error::TimedOut { call });
        s.hears(b"late");
        let ended = receiving.wait().unwrap();
        let arrival = ended.result().unwrap();
        assert_eq!((arrival.length(), arrival.bytes()), (4, &b"late"[..]));

        let receiving = ended.into_operation().unwrap().start().unwrap();
        receiving.cancel();
        receiving.cancel();
        let ended = receiving.wait().unwrap();
        let status = ended.result().unwrap_err().status();
        assert_eq!(status, Some(STATUS_CANCELLED));
        let receiver = ended.into_operation().unwrap();
        assert_eq!(receiver.seen().unwrap_err().status(), status);

        s.hears(b"again");
        let mut receiving = Some(receiver.start().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            assert!(Instant::now() < deadline);
            match receiving.take().unwrap().try_take() {
                Ok(ended) => break ended,
                Err(still) => receiving = Some(still),
            }
        };
        assert_eq!(ended.result().unwrap().bytes(), b"again");
    });
}

#[test]
fn what_is_started_is_a_future() {
    in_each_setting(|_, s| {
        let (first, waker) = Wakes::new();
        let receiver = s.socket.receive_from(buffer(16)).prepare().unwrap();
        let mut receiving = pin!(receiver.start().unwrap());
        for _ in 0..3 {
            let polled = receiving.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        let (second, waker) = Wakes::new();
        let mut context = Context::from_waker(&waker);
        assert!(receiving.as_mut().poll(&mut context).is_pending());
        s.hears(b"wake");
        until("the wake", || second.get() == 1);
        assert_eq!(first.get(), 0);
        let Poll::Ready(ended) = receiving.as_mut().poll(&mut context) else {
            panic!("woken, but not ready")
        };
        assert_eq!(ended.result().unwrap().bytes(), b"wake");
        let Poll::Ready(again) = receiving.as_mut().poll(&mut context) else {
            panic!("pending after its end")
        };
        assert_eq!(again.result().unwrap_err(), Error::Taken);
        assert!(again.into_operation().is_none());

        // A stored waker is released when the operation is waited for, or ends in another way.
        let receiver = ended.into_operation().unwrap();
        let mut receiving = receiver.start().unwrap();
        let mut context = Context::from_waker(&waker);
        assert!(pin!(&mut receiving).poll(&mut context).is_pending());
        s.hears(b"wait");
        let ended = receiving.wait().unwrap();
        assert_eq!(ended.result().unwrap().bytes(), b"wait");
        // The two of the test, and none that the operation keeps.
        drop(waker);
        until("the waker to be let go of", || {
            Arc::strong_count(&second) == 1
        });
    });
}

#[test]
fn dropping_a_receive_wakes_nobody() {
    in_each_setting(|_, s| {
        let (count, waker) = Wakes::new();
        let receivers = PreparedPool::new(1, |_| Ok(s.socket.receive_from(buffer(8)))).unwrap();
        let mut receiving = receivers.take().unwrap().start().unwrap();
        let mut context = Context::from_waker(&waker);
        assert!(pin!(&mut receiving).poll(&mut context).is_pending());
        drop(receiving);
        drop(receivers.take_timeout(PATIENCE).unwrap());
        assert_eq!(count.get(), 0);
    });
}

#[test]
fn what_is_dropped_in_flight_goes_back_to_its_pool() {
    in_each_setting(|_, s| {
        let senders = PreparedPool::new(2, |_| Ok(s.socket.send_to(buffer(4), s.to))).unwrap();
        for round in 0..8_u8 {
            let mut sender = senders.take_or_wait().unwrap();
            sender.as_mut_slice().fill(round);
            drop(sender.start().unwrap());
            s.says(&[round; 4]);
        }
        let receivers = PreparedPool::new(2, |_| Ok(s.socket.receive_from(buffer(4)))).unwrap();
        for _ in 0..3 {
            let [one, other] = [(); 2].map(|()| receivers.take_timeout(PATIENCE).unwrap());
            assert!(receivers.take().is_none());
            let one = one.start().unwrap();
            let mut polled = Box::pin(other.start().unwrap());
            let mut context = Context::from_waker(Waker::noop());
            assert!(polled.as_mut().poll(&mut context).is_pending());
            // Cancelled. It returns to the pool when it has completed.
            drop(one);
            wsk_host::at_irql(2, || drop(polled));
        }
        let both = [(); 2].map(|()| receivers.take_timeout(PATIENCE).unwrap());
        drop(both);
    });
}

#[test]
fn a_pool_has_a_depth() {
    in_each_setting(|_, s| {
        let none = PreparedPool::new(0, |_| Ok(s.socket.receive_from(buffer(4))));
        assert_eq!(none.unwrap_err(), Error::NoOperations);
        let senders = PreparedPool::new(3, |_| Ok(s.socket.send_to(buffer(4), s.to))).unwrap();
        assert_eq!(senders.depth(), 3);
        let taken: Vec<Prepared<SendingTo, NonPagedBuffer>> =
            std::iter::from_fn(|| senders.take()).collect();
        assert_eq!(taken.len(), 3);
        assert_eq!(senders.take_timeout(MOMENT).unwrap_err(), Error::PoolEmpty);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| senders.take_or_wait().map(drop));
            std::thread::sleep(MOMENT);
            drop(taken);
            waiting.join().unwrap().unwrap();
        });
        // An operation that was taken from the pool outlives the pool.
        let mut last = senders.take().unwrap();
        drop(senders);
        assert_eq!(last.wait().unwrap(), 4);
        s.says(&[0; 4]);
    });
}

#[test]
fn prepared_operations_are_handles_of_their_socket() {
    for kernel in kernels() {
        let s = Setting::new(Family::V4, LOOPBACK);
        let mut sender = s.socket.send_to(buffer(4), s.to).prepare().unwrap();
        let receivers = PreparedPool::new(2, |_| Ok(s.socket.receive_from(buffer(4)))).unwrap();
        let receiving = receivers.take().unwrap().start().unwrap();
        assert_eq!(s.socket.close().unwrap_err(), Error::InUse);
        assert_eq!(sender.wait().unwrap(), 4);
        drop(sender);
        drop(receivers);
        // Dropping the last handle cancels the receive. The socket closes when it has completed.
        drop(receiving);
        drop((s.provider, s.registration));
        kernel.shutdown();
    }
}

#[test]
fn a_forced_close_is_told() {
    in_each_setting(|kernel, s| {
        let mut sender = s.socket.send_to(buffer(4), s.to).prepare().unwrap();
        let receiving = s
            .socket
            .receive_from(buffer(4))
            .prepare()
            .unwrap()
            .start()
            .unwrap();
        kernel.force_close_sockets();
        assert!(sender.wait().unwrap_err().must_close());
        assert!(receiving.wait().unwrap().result().unwrap_err().must_close());
    });
}

#[test]
fn a_provider_that_keeps_the_irp_of_a_refused_request_costs_memory_only() {
    in_settings_of(kernels_at(FAST), |kernel, s| {
        let abandoned = |call| Error::Abandoned {
            call,
            status: STATUS_NOT_IMPLEMENTED,
        };
        let mut sender = s.socket.send_to(buffer(4), s.to).prepare().unwrap();
        kernel.fail_nth(Resource::Completion, 1);
        let error = abandoned(Call::WskSendTo);
        assert_eq!(sender.wait().unwrap_err(), error);
        // The provider may still read the buffer, so nobody else can use it.
        assert_eq!(sender.as_slice(), b"");
        assert_eq!(sender.as_mut_slice(), b"");
        assert_eq!(sender.capacity(), 0);
        assert_eq!(sender.set_len(1).unwrap_err(), error);
        assert_eq!(sender.set_remote_address(s.to).unwrap_err(), error);
        assert_eq!(sender.wait().unwrap_err(), error);
        let refused = sender.start().unwrap_err();
        assert_eq!(refused.error, error);
        drop(refused);

        let mut receiver = s.socket.receive_from(buffer(4)).prepare().unwrap();
        assert!(receiver.seen().is_ok());
        kernel.fail_nth(Resource::Completion, 1);
        let error = abandoned(Call::WskReceiveFrom);
        assert_eq!(receiver.wait().unwrap_err(), error);
        assert_eq!(receiver.seen().unwrap_err(), error);
        // The IRPs complete after all. The prepared receive stays unusable until it is dropped.
        assert_eq!(kernel.complete_withheld(), 2);
        assert_eq!(receiver.seen().unwrap_err(), error);
        assert_eq!(receiver.wait().unwrap_err(), error);
        drop(receiver);

        let senders = PreparedPool::new(1, |_| Ok(s.socket.send_to(buffer(4), s.to))).unwrap();
        kernel.fail_nth(Resource::Completion, 1);
        let ended = senders.take().unwrap().start().unwrap().wait().unwrap();
        assert_eq!(ended.result().unwrap_err(), abandoned(Call::WskSendTo));
        assert!(ended.into_operation().is_none());
        assert!(senders.take().is_none());
        assert_eq!(kernel.complete_withheld(), 1);
        assert_eq!(senders.take().unwrap().wait().unwrap(), 4);
        s.says(&[0; 4]);
    });
}

#[test]
fn sending_and_receiving_allocate_nothing() {
    in_each_setting(|kernel, s| {
        let senders = PreparedPool::new(4, |_| Ok(s.socket.send_to(buffer(4), s.to))).unwrap();
        let mut sender = senders.take().unwrap();
        let mut receiver = s.socket.receive_from(buffer(4)).prepare().unwrap();
        let before = kernel.counts();
        // The next allocation of any kind would fail.
        kernel.fail_nth_allocation(1);
        for _ in 0..64 {
            assert_eq!(sender.wait().unwrap(), 4);
            let sending = senders.take().unwrap().start().unwrap();
            assert_eq!(sending.wait().unwrap().result().unwrap(), 4);
            s.says(&[0; 4]);
            s.says(&[0; 4]);
            s.hears(b"four");
            assert_eq!(receiver.wait().unwrap().bytes(), b"four");
        }
        assert_eq!(kernel.counts().faults, before.faults);
        // The plan was active: this allocation fails.
        assert!(NonPagedBuffer::new(4).is_err());
        assert_eq!(kernel.counts().faults, before.faults + 1);
    });
}
