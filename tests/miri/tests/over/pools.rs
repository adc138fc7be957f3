//! Operations and buffers of pools.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wsk::operation::Operations;
use wsk::{BufferPool, Error, NonPagedBuffer};

use crate::{block_on, everywhere, poll_once, socket};

#[test]
fn operations() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let operations = Operations::new(provider, 2).unwrap();
        let packet = || NonPagedBuffer::copy_of(b"foreign").unwrap();
        for _ in 0..2 {
            let first = one.send_to(packet(), to).from(&operations).start().unwrap();
            let taken = operations.take().unwrap();
            let not_started = one
                .send_to(packet(), to)
                .from(&operations)
                .start()
                .unwrap_err();
            assert!(matches!(not_started.error, Error::PoolEmpty));
            let second = one.send_to(packet(), to).from(taken).start().unwrap();
            assert_eq!(first.wait().unwrap().result.unwrap(), 7);
            drop(second);
            operations.wait_until_idle().unwrap();
        }
        assert!(operations.is_idle());
        block_on(one.send_to(packet(), to).from(&operations))
            .result
            .unwrap();
        let receiving = Operations::new(provider, 2).unwrap();
        let mut receive = other
            .receive_from(packet())
            .from(&receiving)
            .start()
            .unwrap();
        let _ = poll_once(&mut receive);
        receive.cancel();
        drop(receive);
        drop(other.receive_from(packet()).from(&receiving).start());
        assert!(
            receiving
                .wait_until_idle_timeout(Duration::from_mins(1))
                .unwrap()
        );
        // The pool is dropped before its operations.
        let flight = one.send_to(packet(), to).from(&operations).start().unwrap();
        drop(operations);
        flight.wait().unwrap().result.unwrap();
    });
}

/// Threads wait for the only operation of a pool, and until the pool is idle.
#[test]
fn waiters() {
    everywhere(|_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let operations = Operations::new(provider, 1).unwrap();
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let taken = operations.take_or_wait().unwrap();
                    let packet = NonPagedBuffer::copy_of(b"waited").unwrap();
                    let flight = one.send_to(packet, to).from(taken).start().unwrap();
                    drop(flight.wait().unwrap());
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            scope.spawn(|| operations.wait_until_idle().unwrap());
        });
        assert_eq!(done.into_inner(), 2);
        let held = operations.take();
        operations
            .take_timeout(Duration::from_millis(1))
            .unwrap_err();
        drop(operations);
        drop(held);
    });
}

#[test]
fn buffers() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let pool = BufferPool::new(2, |_| NonPagedBuffer::new(8)).unwrap();
        let operations = Operations::new(provider, 2).unwrap();
        let receive = other
            .receive_from(pool.take().unwrap())
            .from(&operations)
            .start()
            .unwrap();
        let mut buffer = pool.take().unwrap();
        buffer.as_mut_slice().fill(7);
        drop(one.send_to(buffer, to).from(&operations).start().unwrap());
        let finished = receive.wait().unwrap();
        assert_eq!(finished.buffer.unwrap().as_slice(), [7; 8]);
        drop(pool.take_or_wait().unwrap());
        let last = pool.take_or_wait().unwrap();
        drop(pool);
        drop(last);
    });
}
