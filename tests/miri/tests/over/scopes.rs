//! Operations in a scope, which borrow memory. Their handles are waited for, dropped and forgotten.

use std::mem::ManuallyDrop;

use wsk::NonPagedBuffer;
use wsk_miri::Manner;

use crate::{everywhere, socket, within};

#[test]
fn waited_for_dropped_and_forgotten() {
    everywhere(|_, provider| {
        let ((one, _), (other, to)) = (socket(provider), socket(provider));
        let packet = NonPagedBuffer::copy_of(b"scoped").unwrap();
        let (mut first, mut second) = ([0; 8], NonPagedBuffer::new(8).unwrap());
        let stack = *b"stack";
        wsk::scope(|s| {
            let receive = other.receive_from(&mut first).start_in(s).unwrap();
            let forgotten = other.receive_from(&mut second).start_in(s).unwrap();
            let _ = ManuallyDrop::new(forgotten);
            let sends = [(); 2].map(|()| one.send_to(&packet, to).start_in(s).unwrap());
            drop(one.send_to(&stack, to).start_in(s).unwrap());
            let (received, bytes) = receive.wait().unwrap();
            assert!(received.length() >= 5 && bytes[0] == b's');
            for send in sends {
                assert_eq!(send.wait().unwrap().0, 6);
            }
            let left = other
                .receive_from(NonPagedBuffer::new(8).unwrap())
                .start_in(s)
                .unwrap();
            left.cancel();
            if let Err(left) = left.try_take() {
                drop(left);
            }
        })
        .unwrap();
        assert_eq!(first[0], b's');
        assert_eq!(second.as_slice()[0], b's');
    });
}

#[test]
fn unwound() {
    everywhere(|_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let bytes = *b"unwinding";
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wsk::scope(|s| {
                let _sent = one.send_to(&bytes, to).start_in(s).unwrap();
                panic!("in a scope");
            })
        }));
        std::panic::set_hook(hook);
        assert!(unwound.is_err());
    });
}

#[test]
fn refused() {
    within(Manner::Refused, |_, provider| {
        let ((one, _), (_other, to)) = (socket(provider), socket(provider));
        let bytes = *b"refused";
        wsk::scope(|s| {
            let send = one.send_to(&bytes, to).start_in(s).unwrap();
            drop(one.send_to(&bytes, to).start_in(s).unwrap());
            send.wait().unwrap_err();
        })
        .unwrap();
        one.send_to(&bytes, to).wait().unwrap_err();
    });
}
