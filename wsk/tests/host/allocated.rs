//! Buffers from the global allocator.

use wsk::Error;
use wsk_host::{DISPATCH_LEVEL, at_irql};

use crate::setting::{block_on, in_each_setting};

#[test]
fn vectors_and_boxes_are_sent_from_and_received_into() {
    in_each_setting(|kernel, s| {
        let sent = s.socket.send_to(b"a vector".to_vec(), s.to).wait();
        assert_eq!(sent, Ok(8));
        s.says(b"a vector");
        let boxed: Box<[u8]> = b"a box".to_vec().into();
        assert_eq!(s.socket.send_to(&boxed, s.to).wait(), Ok(5));
        s.says(b"a box");

        // The operation returns the same allocation.
        let vector = b"owned".to_vec();
        let place = vector.as_ptr();
        let finished = block_on(s.socket.send_to(vector, s.to).into_future());
        assert_eq!(finished.result, Ok(5));
        let vector = finished.buffer.unwrap();
        assert_eq!((vector.as_ptr(), &vector[..]), (place, &b"owned"[..]));
        s.says(b"owned");

        let mut room = vec![0; 8];
        s.hears(b"into");
        let received = s.socket.receive_from(&mut room).wait().unwrap();
        assert_eq!(&room[..received.length()], b"into");
        let room: Box<[u8]> = room.into();
        s.hears(b"another");
        let finished = s.socket.receive_from(room).start().unwrap().wait().unwrap();
        let length = finished.result.unwrap().length();
        assert_eq!(&finished.buffer.unwrap()[..length], b"another");

        // If the handle is dropped in flight, the operation keeps the buffer and frees it.
        drop(s.socket.receive_from(vec![0; 64]).start().unwrap());
        // Uninitialised capacity is not received into.
        let mut spare = Vec::with_capacity(64);
        s.hears(b"too long");
        let received = s.socket.receive_from(&mut spare).wait().unwrap();
        assert_eq!((received.length(), received.is_truncated()), (0, true));
        assert!(spare.is_empty());

        // The call locks pages, so it checks the IRQL.
        let refused = at_irql(DISPATCH_LEVEL, || {
            s.socket.send_to(vec![1], s.to).start().map(drop)
        });
        let refused = refused.unwrap_err();
        assert!(matches!(refused.error, Error::WrongIrql { .. }));
        assert_eq!(refused.buffer, [1]);
        assert_eq!(kernel.counts().locked_mdls, 0);
    });
}
