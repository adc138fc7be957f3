//! Operations that own their buffers: whatever happens to the handle, the buffer belongs to the kernel until the IRP has
//! completed.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use wsk::operation::Operations;
use wsk::{BufferPool, DatagramSocket, Error, Extent, Family, NonPagedBuffer};
use wsk_host::Kernel;

use crate::chain::Raw;
use crate::setting::{Counted, LOOPBACK, MOMENT, PATIENCE, Setting, Wakes, kernels, until};

fn on_each_kernel(test: impl Fn(&Kernel, &Setting)) {
    for kernel in kernels() {
        let s = Setting::new(Family::V4, LOOPBACK);
        test(&kernel, &s);
        s.socket.close().unwrap();
        drop((s.provider, s.registration));
        kernel.shutdown();
    }
}

#[test]
fn a_send_gives_its_buffer_back() {
    on_each_kernel(|_, s| {
        let buffer = NonPagedBuffer::copy_of(b"owned").unwrap();
        let finished = s
            .socket
            .send_to(buffer, s.to)
            .start()
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(finished.result.unwrap(), 5);
        assert_eq!(finished.buffer.unwrap().as_slice(), b"owned");
        let mut bytes = [0; 8];
        assert_eq!(s.peer.recv(&mut bytes).unwrap(), 5);
    });
}

#[test]
fn a_receive_is_pending_until_a_datagram_comes() {
    on_each_kernel(|_, s| {
        let operation = s
            .socket
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        assert!(!operation.is_completed());
        let operation = operation.try_take().unwrap_err();
        let (error, operation) = operation.wait_timeout(MOMENT).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }));
        s.hears(b"late");
        let finished = operation.wait().unwrap();
        assert_eq!(
            (
                finished.result.unwrap().length(),
                finished.result.unwrap().remote_address().unwrap()
            ),
            (4, s.to)
        );
        assert_eq!(&finished.buffer.unwrap().as_slice()[..4], b"late");
    });
}

#[test]
fn a_receive_is_a_future() {
    on_each_kernel(|_, s| {
        let (count, waker) = Wakes::new();
        let mut operation = pin!(
            s.socket
                .receive_from(NonPagedBuffer::new(16).unwrap())
                .start()
                .unwrap()
        );
        let mut context = Context::from_waker(&waker);
        for _ in 0..3 {
            assert!(operation.as_mut().poll(&mut context).is_pending());
        }
        // Another waker replaces the first.
        let (second, waker) = Wakes::new();
        let mut context = Context::from_waker(&waker);
        assert!(operation.as_mut().poll(&mut context).is_pending());
        s.hears(b"wake");
        until("the wake", || second.get() == 1);
        assert_eq!(count.get(), 0);
        let Poll::Ready(finished) = operation.as_mut().poll(&mut context) else {
            panic!("woken, but not ready")
        };
        assert_eq!(finished.result.unwrap().length(), 4);
        let Poll::Ready(again) = operation.as_mut().poll(&mut context) else {
            panic!("pending after its end")
        };
        assert_eq!(again.result.unwrap_err(), Error::Taken);
    });
}

#[test]
fn cancelling_completes_with_cancelled() {
    on_each_kernel(|_, s| {
        let operation = s
            .socket
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        operation.cancel();
        operation.cancel();
        let finished = operation.wait().unwrap();
        assert_eq!(
            finished.result.unwrap_err().status(),
            Some(wsk_sys::STATUS_CANCELLED)
        );
        assert!(finished.buffer.is_some());
    });
}

#[test]
fn dropping_frees_the_buffer_when_the_irp_has_completed() {
    on_each_kernel(|_, s| {
        let drops = Arc::new(AtomicUsize::new(0));
        drop(
            s.socket
                .send_to(Counted::new(b"gone", &drops), s.to)
                .start()
                .unwrap(),
        );
        let mut bytes = [0; 8];
        assert_eq!(
            s.peer.recv(&mut bytes).unwrap(),
            4,
            "the bytes of a dropped send are still sent"
        );
        until("the drop", || drops.load(Ordering::SeqCst) == 1);

        drop(
            s.socket
                .receive_from(Counted::new(&[0; 8], &drops))
                .start()
                .unwrap(),
        );
        until("the drop of a cancelled receive", || {
            drops.load(Ordering::SeqCst) == 2
        });

        let mut operation = Box::pin(
            s.socket
                .receive_from(Counted::new(&[0; 8], &drops))
                .start()
                .unwrap(),
        );
        let mut context = Context::from_waker(Waker::noop());
        assert!(operation.as_mut().poll(&mut context).is_pending());
        wsk_host::at_irql(2, || drop(operation));
        until("the drop of a polled receive", || {
            drops.load(Ordering::SeqCst) == 3
        });
    });
}

#[test]
fn dropping_a_receive_wakes_nobody() {
    on_each_kernel(|_, s| {
        let (count, waker) = Wakes::new();
        let buffer = NonPagedBuffer::new(16).unwrap();
        let mut operation = Box::pin(s.socket.receive_from(buffer).start().unwrap());
        let mut context = Context::from_waker(&waker);
        assert!(operation.as_mut().poll(&mut context).is_pending());
        drop(operation);
        assert_eq!(count.get(), 0);
    });
}

#[test]
fn closing_completes_what_is_in_flight() {
    for kernel in kernels() {
        let s = Setting::new(Family::V4, LOOPBACK);
        let drops = Arc::new(AtomicUsize::new(0));
        let operations: Vec<_> = (0..8)
            .map(|_| {
                s.socket
                    .receive_from(Counted::new(&[0; 8], &drops))
                    .start()
                    .unwrap()
            })
            .collect();
        let socket = s.socket.clone();
        drop(socket);
        drop(s.socket);
        for operation in operations {
            let finished = operation.wait().unwrap();
            assert_eq!(
                finished.result.unwrap_err().status(),
                Some(wsk_sys::STATUS_CANCELLED)
            );
            assert!(finished.buffer.is_some());
        }
        assert_eq!(drops.load(Ordering::SeqCst), 8);
        drop((s.provider, s.registration));
        kernel.shutdown();
    }
}

#[test]
fn timeouts_of_the_calls_that_wait() {
    on_each_kernel(|_, s| {
        let mut buffer = NonPagedBuffer::new(16).unwrap();
        let error = s
            .socket
            .receive_from(&mut buffer)
            .wait_timeout(MOMENT)
            .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        let sent = s
            .socket
            .send_to(b"plain slice", s.to)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert_eq!(sent, 11);
        let mut bytes = [0; 16];
        assert_eq!(s.peer.recv(&mut bytes).unwrap(), 11);
        s.hears(b"back");
        let mut room = [0_u8; 16];
        let received = s
            .socket
            .receive_from(&mut room)
            .wait_timeout(PATIENCE)
            .unwrap();
        assert_eq!(&room[..received.length()], b"back");
    });
}

#[test]
fn what_is_wrong_is_found_before_anything_is_in_flight() {
    on_each_kernel(|_, s| {
        let long = NonPagedBuffer::new(65_508).unwrap();
        let not_started = s.socket.send_to(long, s.to).start().unwrap_err();
        assert_eq!(
            not_started.error,
            Error::DatagramTooLong {
                length: 65_508,
                limit: 65_507
            }
        );
        assert_eq!(not_started.buffer.len(), 65_508);
        let unbound = DatagramSocket::open(&s.provider, Family::V4).unwrap();
        assert_eq!(
            unbound
                .receive_from(NonPagedBuffer::new(1).unwrap())
                .start()
                .unwrap_err()
                .error,
            Error::NotBound
        );
        assert_eq!(
            unbound
                .send_to(NonPagedBuffer::new(1).unwrap(), s.to)
                .start()
                .unwrap_err()
                .error,
            Error::NotBound
        );
    });
}

#[test]
fn a_pool_is_bounded_and_allocates_nothing() {
    on_each_kernel(|kernel, s| {
        let pool = BufferPool::new(4, |_| NonPagedBuffer::new(32)).unwrap();
        let taken: Vec<_> = (0..4).map(|_| pool.take().unwrap()).collect();
        assert!(pool.take().is_none());
        assert_eq!(
            pool.take_timeout(MOMENT).map(drop).unwrap_err(),
            Error::PoolEmpty
        );
        drop(taken);

        let operations = Operations::new(&s.provider, 4).unwrap();
        let mut bytes = [0; 64];
        let allocations = || {
            (
                kernel.counts().pool,
                kernel.counts().irps,
                kernel.counts().mdls,
            )
        };
        let before = allocations();
        for n in 0..100_u8 {
            let mut buffer = pool.take_or_wait().unwrap();
            buffer.as_mut_slice().fill(n);
            let request = s.socket.send_to(buffer, s.to).from(&operations);
            drop(request.start().unwrap());
            assert_eq!(s.peer.recv(&mut bytes).unwrap(), 32);
            assert!(bytes[..32].iter().all(|byte| *byte == n));
            s.hears(&bytes[..8]);
            let finished = s
                .socket
                .receive_from(pool.take_or_wait().unwrap())
                .from(&operations)
                .start()
                .unwrap()
                .wait()
                .unwrap();
            assert_eq!(finished.result.unwrap().length(), 8);
            assert_eq!(finished.buffer.unwrap().as_slice()[..8], [n; 8]);
        }
        assert_eq!(
            allocations(),
            before,
            "sending and receiving from a pool allocates nothing"
        );
        let waiting = pool.clone();
        let taken: Vec<_> = (0..4).map(|_| pool.take_or_wait().unwrap()).collect();
        std::thread::scope(|threads| {
            let waiters: Vec<_> = (0..4)
                .map(|_| threads.spawn(|| drop(waiting.take_timeout(PATIENCE).unwrap())))
                .collect();
            std::thread::sleep(MOMENT);
            drop(taken);
            for waiter in waiters {
                waiter.join().unwrap();
            }
        });
    });
}

#[test]
fn an_extent_lies_inside_its_chain() {
    let kernel = Kernel::boot();
    let raw = Raw::new(&[0; 100]);
    let mdl = raw.mdl;
    // SAFETY: the MDL describes nonpaged memory, and outlives these extents.
    unsafe {
        assert_eq!(Extent::new(mdl, 40, 60).unwrap().len(), 60);
        assert!(Extent::new(mdl, 100, 0).unwrap().is_empty());
        assert_eq!(
            Extent::new(mdl, 40, 61).unwrap_err(),
            Error::OutOfBounds {
                end: 101,
                length: 100
            }
        );
        assert_eq!(
            Extent::new(mdl, 100, 1).unwrap_err(),
            Error::OutOfBounds {
                end: 100,
                length: 100
            }
        );
        assert!(Extent::new(mdl, 1, usize::MAX).is_err());
    }
    drop(raw);
    kernel.shutdown();
}

#[test]
fn a_pool_of_nothing_is_an_error() {
    let kernel = Kernel::boot();
    let made = BufferPool::new(0, |_| NonPagedBuffer::new(1));
    assert_eq!(made.unwrap_err(), Error::NoOperations);
    kernel.shutdown();
}
