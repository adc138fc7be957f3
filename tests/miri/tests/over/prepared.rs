//! Prepared operations, which are built once.

use std::mem::forget;
use std::time::Duration;

use wsk::operation::PreparedPool;
use wsk::{NonPagedBuffer, Registration, Wait};
use wsk_miri::Kernel;

use crate::{block_on, everywhere, manners, poll_once, socket};

#[test]
fn run_again_and_changed() {
    everywhere(|_, provider| {
        let ((one, from), (other, to)) = (socket(provider), socket(provider));
        let mut sender = one
            .send_to(NonPagedBuffer::new(8).unwrap(), to)
            .prepare()
            .unwrap();
        let mut receiver = other
            .receive_from(NonPagedBuffer::new(8).unwrap())
            .prepare()
            .unwrap();
        for number in 1..4 {
            sender.set_len(number.into()).unwrap();
            sender.as_mut_slice().fill(number);
            assert_eq!(sender.wait().unwrap(), usize::from(number));
            let arrival = receiver.wait_timeout(Duration::from_mins(1)).unwrap();
            assert!(arrival.is_from(&from));
            assert_eq!(arrival.bytes(), vec![number; number.into()]);
        }
        sender.buffer_mut().unwrap().assign(b"changed").unwrap();
        sender.set_remote_address(to).unwrap();
        let ended = sender.start().unwrap().wait().unwrap();
        assert_eq!(ended.result().unwrap(), 7);
        let sender = ended.into_operation().unwrap();
        let ended = block_on(sender.start().unwrap());
        let mut sender = ended.into_operation().unwrap();
        let ended = block_on(receiver.start().unwrap());
        assert_eq!(ended.result().unwrap().bytes(), b"changed");
        let mut receiver = ended.into_operation().unwrap();
        receiver.wait().unwrap();
        receiver.wait_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(sender.wait().unwrap(), 7);
        assert_eq!(receiver.wait().unwrap().length(), 7);
        assert_eq!(receiver.seen().unwrap().bytes(), b"changed");
        drop(receiver.start().unwrap());
        sender.start_with(drop).unwrap();
    });
}

#[test]
fn pools() {
    everywhere(|_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let senders =
            PreparedPool::new(2, |_| Ok(one.send_to(NonPagedBuffer::new(4)?, to))).unwrap();
        let receivers =
            PreparedPool::new(1, |_| Ok(one.receive_from(NonPagedBuffer::new(4)?))).unwrap();
        let (first, second) = (senders.take().unwrap(), senders.take().unwrap());
        assert!(senders.take().is_none());
        drop(first.start().unwrap());
        second
            .start_with(|ended| drop(ended.into_operation()))
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let sender = senders.take_or_wait().unwrap();
                    drop(sender.start().unwrap());
                });
            }
        });
        senders.wait_until_idle().unwrap();
        let mut started = receivers.take().unwrap().start().unwrap();
        let _ = poll_once(&mut started);
        drop(receivers);
        drop(started);
        let last = senders.take().unwrap();
        let started = senders.take().unwrap().start().unwrap();
        // The pool, and the handle of the socket, are dropped before the operation that was taken.
        drop((senders, one));
        drop(started);
        drop(last);
    });
}

/// A forgotten operation keeps its socket open, and so the registration.
#[test]
fn forgotten() {
    for manner in manners() {
        let kernel = Kernel::boot(manner);
        let registration = Registration::new().unwrap();
        let provider = registration.capture(Wait::Forever).unwrap();
        let ((one, _), (other, to)) = (socket(&provider), socket(&provider));
        let sender = one
            .send_to(NonPagedBuffer::new(4).unwrap(), to)
            .prepare()
            .unwrap();
        forget(sender.start().unwrap());
        let receiver = one
            .receive_from(NonPagedBuffer::new(4).unwrap())
            .prepare()
            .unwrap();
        let mut started = receiver.start().unwrap();
        let _ = poll_once(&mut started);
        forget(started);
        drop((one, other, provider));
        forget(registration);
        kernel.leave();
    }
}
