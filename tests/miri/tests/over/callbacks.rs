//! Operations with a closure for their completion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wsk::NonPagedBuffer;
use wsk::operation::Operations;
use wsk_miri::Manner;

use crate::{everywhere, socket, within};

#[test]
fn told() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let operations = Operations::new(provider, 2).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let packet = || NonPagedBuffer::copy_of(b"told").unwrap();
        for _ in 0..2 {
            let count = told.clone();
            other
                .receive_from(packet())
                .start_with(move |finished| {
                    count.fetch_add(finished.result.unwrap().length(), Ordering::SeqCst);
                })
                .unwrap();
            let count = told.clone();
            one.send_to(packet(), to)
                .from(&operations)
                .start_with(move |finished| {
                    assert_eq!(finished.buffer.unwrap().as_slice(), b"told");
                    count.fetch_add(finished.result.unwrap(), Ordering::SeqCst);
                })
                .unwrap();
        }
        operations.wait_until_idle().unwrap();
        while told.load(Ordering::SeqCst) < 16 {
            std::thread::yield_now();
        }
        // Closing the socket also calls the closure, which tries to start another operation and fails.
        let count = told.clone();
        other
            .receive_from(packet())
            .start_with(move |finished| {
                finished.result.unwrap_err();
                count.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        drop(other);
        while told.load(Ordering::SeqCst) < 17 {
            std::thread::yield_now();
        }
        // Dropping its captures is the last step of a closure.
        while Arc::strong_count(&told) > 1 {
            std::thread::yield_now();
        }
    });
}

/// A closure starts the next request with the operation that is being returned.
#[test]
fn chained() {
    everywhere(|_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let operations = Operations::new(provider, 2).unwrap();
        let (again, pool) = (one.clone(), operations.clone());
        one.send_to(NonPagedBuffer::copy_of(b"first").unwrap(), to)
            .from(&operations)
            .start_with(Box::new(
                move |finished: wsk::operation::Finished<usize, NonPagedBuffer>| {
                    let buffer = finished.buffer.unwrap();
                    again
                        .send_to(buffer, to)
                        .from(&pool)
                        .start_with(drop)
                        .unwrap();
                },
            ))
            .unwrap();
        operations.wait_until_idle().unwrap();
    });
}

#[test]
fn refused() {
    within(Manner::Refused, |_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        one.send_to(NonPagedBuffer::copy_of(b"refused").unwrap(), to)
            .start_with(move |finished| {
                finished.result.unwrap_err();
                count.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        assert_eq!(told.load(Ordering::SeqCst), 1);
    });
}
