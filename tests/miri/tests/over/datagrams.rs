//! Datagrams: waited for, started, awaited, cancelled, dropped and forgotten.

use std::mem::forget;
use std::time::Duration;

use wsk::{
    Control, ControlMessage, Error, MdlChain, Messages, NonPagedBuffer, RemoteAddress, WithControl,
};
use wsk_miri::Manner;

use crate::{block_on, everywhere, leaving, manners, poll_once, socket, within};

#[test]
fn waited_for() {
    everywhere(|_, provider| {
        let ((one, from), (other, to)) = (socket(provider), socket(provider));
        let encoded = RemoteAddress::new(wsk::Family::V4, to).unwrap();
        let mut room = [0; 16];
        let mut buffer = NonPagedBuffer::new(16).unwrap();
        for number in 0..3 {
            assert_eq!(one.send_to(b"on the stack", to).wait().unwrap(), 12);
            let packet = NonPagedBuffer::copy_of(&[number; 4]).unwrap();
            assert_eq!(one.send_to(&packet, &encoded).wait().unwrap(), 4);
            let received = other.receive_from(&mut room).wait().unwrap();
            assert_eq!(room[..received.length()], *b"on the stack");
            assert!(received.is_from(&from));
            let received = other.receive_from(&mut buffer).wait().unwrap();
            assert_eq!(buffer.as_slice()[..received.length()], [number; 4]);
            assert_eq!(
                other.send_to(&buffer, received.remote()).wait().unwrap(),
                16
            );
            one.receive_from(&mut room)
                .wait_timeout(Duration::from_mins(1))
                .unwrap();
        }
    });
}

#[test]
fn chains_messages_and_control() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let parts = || {
            [
                NonPagedBuffer::copy_of(b"two ").unwrap(),
                NonPagedBuffer::copy_of(b"parts").unwrap(),
            ]
        };
        let mut chain = MdlChain::new(parts());
        assert_eq!(one.send_to(&chain, to).wait().unwrap(), 9);
        let mut room = MdlChain::new(parts());
        assert_eq!(other.receive_from(&mut room).wait().unwrap().length(), 9);
        assert_eq!(room.part(1).unwrap(), b"parts");
        chain.set_range(2, 5).unwrap();
        let finished = block_on(one.send_to(chain, to));
        assert_eq!(finished.result.unwrap(), 5);
        let chain = finished.buffer.unwrap();
        assert_eq!(chain.into_parts()[0].as_slice(), b"two ");
        let mut messages = Messages::new([b"first".as_slice(), b"second"]).unwrap();
        one.send_messages(&mut messages, to).wait().unwrap();
        let owned = Messages::new([NonPagedBuffer::copy_of(b"third").unwrap()]).unwrap();
        let finished = one
            .send_messages(owned, to)
            .start()
            .unwrap()
            .wait()
            .unwrap();
        finished.result.unwrap();
        let mut with_room =
            WithControl::new(NonPagedBuffer::new(16).unwrap(), Control::<64>::new());
        for expected in [5, 5, 6, 5] {
            let received = other.receive_from(&mut with_room).wait().unwrap();
            assert_eq!(received.length(), expected);
        }
        let mut control = Control::<64>::new();
        control.push(ControlMessage::EcnV4(1)).unwrap();
        let sent = WithControl::new(NonPagedBuffer::copy_of(b"with").unwrap(), control);
        assert_eq!(one.send_to(&sent, to).wait().unwrap(), 4);
        let flight = one.send_to(sent, to).start().unwrap();
        flight.wait().unwrap().result.unwrap();
    });
}

#[test]
fn started() {
    everywhere(|_, provider| {
        let ((one, from), (other, to)) = (socket(provider), socket(provider));
        let receive = other
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        let awaited = other
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        for _ in 0..2 {
            let send = one
                .send_to(NonPagedBuffer::copy_of(b"owned").unwrap(), to)
                .start()
                .unwrap();
            assert_eq!(send.wait().unwrap().result.unwrap(), 5);
        }
        let finished = receive.wait().unwrap();
        assert!(finished.result.unwrap().is_from(&from));
        assert_eq!(&finished.buffer.unwrap().as_slice()[..5], b"owned");
        block_on(awaited).result.unwrap();
        let mut receive = other
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        assert!(poll_once(&mut receive).is_pending());
        let Err((Error::TimedOut { .. }, receive)) = receive.wait_timeout(Duration::from_millis(1))
        else {
            panic!("nothing was sent");
        };
        let receive = receive.try_take().unwrap_err();
        block_on(one.send_to(NonPagedBuffer::copy_of(b"late").unwrap(), to))
            .result
            .unwrap();
        block_on(receive).result.unwrap();
        let receive = other
            .receive_from(NonPagedBuffer::new(16).unwrap())
            .start()
            .unwrap();
        receive.cancel();
        assert!(receive.wait().unwrap().result.is_err());
        let limit = Duration::from_millis(1);
        assert!(matches!(
            other.receive_from(&mut [0; 4]).wait_timeout(limit),
            Err(Error::TimedOut { .. })
        ));
    });
}

/// Dropped at every stage: at once, after a poll, after completion, and after the socket is gone.
#[test]
fn dropped() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let packet = || NonPagedBuffer::copy_of(b"drop").unwrap();
        drop(one.send_to(packet(), to).start().unwrap());
        drop(other.receive_from(packet()).start().unwrap());
        for polled in [false, true] {
            let mut receive = other.receive_from(packet()).start().unwrap();
            let mut send = one.send_to(packet(), to).start().unwrap();
            if polled {
                let _ = poll_once(&mut receive);
                let _ = poll_once(&mut send);
            }
            drop((receive, send));
        }
        let receive = other.receive_from(packet()).start().unwrap();
        let second = other.receive_from(packet()).start().unwrap();
        drop(other);
        assert!(receive.wait().unwrap().buffer.is_some());
        drop(second);
    });
}

#[test]
fn forgotten() {
    let packet = || NonPagedBuffer::copy_of(b"left").unwrap();
    for manner in manners() {
        // The operation and its buffer are left.
        leaving(2, manner, |_, provider| {
            let ((one, _), (_other, to)) = (socket(provider), socket(provider));
            forget(one.send_to(packet(), to).start().unwrap());
        });
    }
    leaving(2, Manner::Held, |kernel, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let mut send = one.send_to(packet(), to).start().unwrap();
        assert!(poll_once(&mut send).is_pending());
        forget(send);
        assert_eq!(kernel.release(), 1);
    });
}

#[test]
fn held_and_cancelled() {
    within(Manner::Held, |kernel, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let packet = || NonPagedBuffer::copy_of(b"held").unwrap();
        let first = one.send_to(packet(), to).start().unwrap();
        let mut second = one.send_to(packet(), to).start().unwrap();
        let third = one.send_to(packet(), to).start().unwrap();
        assert!(poll_once(&mut second).is_pending());
        first.cancel();
        assert!(first.is_completed());
        drop(third);
        assert_eq!(kernel.release(), 2);
        first.wait().unwrap().result.unwrap_err();
        block_on(second).result.unwrap();
        let limit = Duration::from_millis(1);
        one.send_to(b"borrowed", to)
            .wait_timeout(limit)
            .unwrap_err();
        let last = one.send_to(packet(), to).start().unwrap();
        last.give_up().unwrap().result.unwrap_err();
    });
}

/// Handles can go to other threads, and so can their results.
#[test]
fn on_many_threads() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        std::thread::scope(|scope| {
            for number in 0..2 {
                let one = &one;
                scope.spawn(move || {
                    one.send_to(&[number; 8], to).wait().unwrap();
                    let flight = one
                        .send_to(NonPagedBuffer::new(8).unwrap(), to)
                        .start()
                        .unwrap();
                    std::thread::spawn(move || drop(flight.wait().unwrap()))
                        .join()
                        .unwrap();
                });
            }
            for _ in 0..4 {
                assert_eq!(other.receive_from(&mut [0; 8]).wait().unwrap().length(), 8);
            }
        });
    });
}
