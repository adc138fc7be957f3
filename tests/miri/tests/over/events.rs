//! Events: datagrams, bytes and connections that are indicated, retained and released.

use std::sync::{Arc, Mutex};

use wsk::events::{
    AcceptEvent, ConnectionEvent, Disconnection, Incoming, Indication, ReceiveFromEvent, Retained,
    RetainedBytes, StreamIndication, StreamVerdict, Verdict,
};
use wsk::{ConnectedSocket, DatagramSocket, Family, ListenSocket};

use crate::{everywhere, socket};

#[derive(Default)]
struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    fn share(&self) -> Self {
        Self(self.0.clone())
    }

    fn push(&self, value: T) {
        self.0.lock().unwrap().push(value);
    }

    fn pop(&self) -> T {
        loop {
            if let Some(value) = self.0.lock().unwrap().pop() {
                return value;
            }
            std::thread::yield_now();
        }
    }
}

struct Datagrams {
    lengths: Kept<usize>,
    retained: Kept<Retained>,
}

impl ReceiveFromEvent for Datagrams {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        assert!(
            !indication.at_dispatch_level(),
            "the provider does not set the flag"
        );
        let mut bytes = [0; 16];
        let length: usize = indication
            .datagrams()
            .map(|datagram| datagram.copy_to(&mut bytes))
            .sum();
        if bytes[0] == b'r' {
            if let Some(retained) = indication.retain() {
                self.retained.push(retained);
            }
            return Verdict::Consumed;
        }
        if let Some(socket) = indication.socket() {
            drop(socket);
        }
        self.lengths.push(length);
        Verdict::Consumed
    }
}

#[test]
fn datagrams() {
    everywhere(|_, provider| {
        let (lengths, retained) = (Kept(Arc::default()), Kept(Arc::default()));
        let handler = Datagrams {
            lengths: lengths.share(),
            retained: retained.share(),
        };
        let with_events = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
        with_events.bind(Family::V4.any()).unwrap();
        let to = with_events.local_address().unwrap();
        with_events.enable_receive_events().unwrap();
        let handler = with_events.handler::<Datagrams>().unwrap();
        let other = with_events.handler::<fn(&mut Indication<'_>) -> Verdict>();
        assert!(other.is_none(), "the handler has another type");
        let (one, from) = socket(provider);
        one.send_to(b"told", to).wait().unwrap();
        one.send_to(b"retained", to).wait().unwrap();
        assert_eq!(handler.lengths.pop(), 4);
        let kept = retained.pop();
        let datagram = kept.datagrams().next().unwrap();
        assert_eq!(datagram.remote_address().unwrap().port(), from.port());
        assert_eq!(datagram.pieces().next().unwrap(), b"retained");
        with_events.disable_receive_events().unwrap();
        // The retained datagram has the last handle.
        drop(with_events);
        std::thread::spawn(move || drop(kept)).join().unwrap();
    });
}

#[test]
fn retained_datagrams_of_their_own() {
    everywhere(|_, provider| {
        let (lengths, retained) = (Kept(Arc::default()), Kept(Arc::default()));
        let handler = Datagrams {
            lengths: lengths.share(),
            retained: retained.share(),
        };
        let with_events = DatagramSocket::open_with_events(provider, Family::V4, handler).unwrap();
        with_events.bind(Family::V4.any()).unwrap();
        let to = with_events.local_address().unwrap();
        let (one, _) = socket(provider);
        for bytes in [b"coalesc".as_slice(), b"r", b"r", b"r"] {
            one.send_to(bytes, to).wait().unwrap();
        }
        with_events.enable_receive_events().unwrap();
        let mut datagrams = retained.pop().into_datagrams();
        let first = datagrams.next().unwrap();
        let second = datagrams.next().unwrap();
        // Two of them at the same time, while the others are dropped.
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let segments = first.datagram().segments();
                let segments: Vec<Vec<u8>> = segments
                    .map(|segment| segment.pieces().flatten().copied().collect())
                    .collect();
                assert_eq!(segments, [b"coa".as_slice(), b"les", b"c"]);
                let mut bytes = [0; 3];
                assert_eq!(first.datagram().copy_from(5, &mut bytes), 2);
                assert_eq!(&bytes[..2], b"sc");
            });
            threads.spawn(move || {
                assert_eq!(second.datagram().segments().len(), 1);
                assert_eq!(second.datagram().segment_size(), None);
                drop(second.socket());
            });
            drop(datagrams);
        });
        // The last handle.
        drop(with_events);
    });
}

struct Bytes {
    received: Kept<Vec<u8>>,
    retained: Kept<RetainedBytes>,
    ended: Kept<bool>,
}

impl ConnectionEvent for Bytes {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        if indication.len() > 4 {
            if let Some(retained) = indication.retain() {
                self.retained.push(retained);
            }
            return StreamVerdict::Consumed;
        }
        let mut bytes = vec![0; indication.len()];
        indication.copy_to(&mut bytes);
        self.received.push(bytes);
        StreamVerdict::ConsumedPart(indication.len().div_ceil(2))
    }

    fn disconnected(&self, disconnection: &Disconnection<'_>) {
        drop(disconnection.socket());
        self.ended.push(disconnection.is_abortive());
    }
}

struct Accepted(Kept<ConnectedSocket>, Mutex<Option<Bytes>>);

impl AcceptEvent for Accepted {
    fn accepted(&self, incoming: Incoming<'_>) {
        incoming.remote_address().unwrap();
        let Some(handler) = self.1.lock().unwrap().take() else {
            return;
        };
        self.0.push(incoming.accept_with_events(handler).unwrap());
    }
}

#[test]
fn connections() {
    everywhere(|_, provider| {
        let (received, retained, ended) = (
            Kept(Arc::default()),
            Kept(Arc::default()),
            Kept(Arc::default()),
        );
        let handler = Bytes {
            received: received.share(),
            retained: retained.share(),
            ended: ended.share(),
        };
        let sockets = Kept(Arc::default());
        let accepted = Accepted(sockets.share(), Mutex::new(Some(handler)));
        let listener = ListenSocket::open_with_events(provider, Family::V4, accepted).unwrap();
        listener.bind(Family::V4.any()).unwrap();
        listener.enable_accept_events().unwrap();
        let to = listener.local_address().unwrap();
        let client = ConnectedSocket::connect(provider, to).wait().unwrap();
        let server = sockets.pop();
        client.send(b"tell").wait().unwrap();
        server.enable_events().unwrap();
        assert_eq!(received.pop().len(), 1);
        client.send(b"this is kept").wait().unwrap();
        let kept = retained.pop();
        assert_eq!(kept.pieces().next().unwrap(), b"this is kept");
        // Nobody takes this one.
        let refused = ConnectedSocket::connect(provider, to).wait().unwrap();
        refused.send(b"nobody").wait().unwrap_err();
        client.disconnect().wait().unwrap();
        assert!(!ended.pop());
        drop((client, server, listener));
        drop(kept);
    });
}
