//! A provider that refuses a request and does not complete its IRP. The memory that it may still use is left to it, and is freed
//! when it completes the IRP after all.

use std::time::Duration;

use wsk::operation::Operations;
use wsk::{Error, NonPagedBuffer, Registration};
use wsk_miri::Manner;

use crate::{block_on, leaving, poll_once, socket, within};

#[test]
fn owned() {
    within(Manner::Kept, |kernel, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let packet = || NonPagedBuffer::copy_of(b"lost").unwrap();
        let send = one.send_to(packet(), to).start().unwrap();
        let finished = send.wait().unwrap();
        assert!(matches!(finished.result, Err(Error::Abandoned { .. })));
        assert!(finished.buffer.is_none());
        let finished = block_on(other.receive_from(packet()));
        assert!(matches!(finished.result, Err(Error::Abandoned { .. })));
        let mut polled = one.send_to(packet(), to).start().unwrap();
        assert!(poll_once(&mut polled).is_pending());
        drop(polled);
        let operations = Operations::new(provider, 1).unwrap();
        let of_pool = one.send_to(packet(), to).from(&operations).start().unwrap();
        of_pool.give_up().unwrap().result.unwrap_err();
        assert!(
            !operations
                .wait_until_idle_timeout(Duration::from_millis(1))
                .unwrap()
        );
        one.send_to(packet(), to).start_with(drop).unwrap();
        assert_eq!(kernel.complete_kept(), 5);
        operations.wait_until_idle().unwrap();
    });
}

#[test]
fn borrowed() {
    // The block of the lost buffer stays, and its MDL.
    leaving(1, Manner::Kept, |kernel, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let packet = NonPagedBuffer::copy_of(b"lost").unwrap();
        let lost = one.send_to(&packet, to).wait();
        assert!(matches!(lost, Err(Error::Abandoned { .. })));
        assert!(packet.is_lost());
        assert!(matches!(
            one.send_to(&packet, to).wait(),
            Err(Error::BufferLost)
        ));
        assert_eq!(kernel.complete_kept(), 1);
    });
}

#[test]
fn in_a_scope() {
    leaving(1, Manner::Kept, |kernel, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let packet = NonPagedBuffer::copy_of(b"lost").unwrap();
        wsk::scope(|s| {
            let send = one.send_to(&packet, to).start_in(s).unwrap();
            drop(one.send_to(&packet, to).start_in(s).unwrap());
            assert!(matches!(send.wait(), Err(Error::Abandoned { .. })));
        })
        .unwrap();
        assert!(packet.is_lost());
        assert_eq!(kernel.complete_kept(), 2);
    });
}

#[test]
fn prepared() {
    within(Manner::Kept, |kernel, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let mut sender = one
            .send_to(NonPagedBuffer::new(4).unwrap(), to)
            .prepare()
            .unwrap();
        assert!(matches!(sender.wait(), Err(Error::Abandoned { .. })));
        assert!(sender.is_abandoned() && sender.buffer().is_none());
        drop(sender);
        let sender = one
            .send_to(NonPagedBuffer::new(4).unwrap(), to)
            .prepare()
            .unwrap();
        let ended = block_on(sender.start().unwrap());
        assert!(ended.into_operation().is_none());
        assert_eq!(kernel.complete_kept(), 2);
    });
}

/// Another client comes and goes while the timer that wakes is set.
#[test]
fn while_a_client_comes_and_goes() {
    within(Manner::Kept, |kernel, provider| {
        let (other, _) = socket(provider);
        let packet = NonPagedBuffer::copy_of(b"lost").unwrap();
        let mut receive = other.receive_from(packet).start().unwrap();
        assert!(poll_once(&mut receive).is_pending());
        drop(Registration::new().unwrap());
        // Waits until the timer wakes this thread.
        std::thread::park();
        let finished = block_on(receive);
        assert!(matches!(finished.result, Err(Error::Abandoned { .. })));
        assert_eq!(kernel.complete_kept(), 1);
    });
}

/// Memory inside the carried value is not read while the provider may write it, which it does as long as it has the IRP.
#[test]
fn memory_that_is_carried_itself() {
    within(Manner::KeptAndWritten, |kernel, provider| {
        let (socket, _) = socket(provider);
        let completed_late = |receive: &dyn Fn()| {
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    wsk_miri::sleep(Duration::from_secs(5));
                    assert_eq!(kernel.complete_kept(), 1);
                });
                receive();
            });
        };
        completed_late(&|| {
            socket.receive_from([0_u8; 8]).wait().unwrap_err();
        });
        completed_late(&|| {
            let mut bytes = [0_u8; 8];
            socket.receive_from(&mut bytes[..]).wait().unwrap_err();
        });
        completed_late(&|| {
            wsk::scope(|scope| drop(socket.receive_from([0_u8; 8]).start_in(scope))).unwrap();
        });
    });
}

/// A scope has left a buffer to a provider that keeps writing. The owner may drop the buffer: the memory stays.
#[test]
fn memory_that_is_left_and_written() {
    leaving(1, Manner::KeptAndWritten, |kernel, provider| {
        let (socket, _) = socket(provider);
        let mut lent = NonPagedBuffer::new(8).unwrap();
        wsk::scope(|scope| drop(socket.receive_from(&mut lent).start_in(scope))).unwrap();
        assert!(lent.is_lost());
        drop(lent);
        wsk_miri::sleep(Duration::from_secs(1));
        assert_eq!(kernel.complete_kept(), 1);
    });
}
