//! The right form of `stream_bytes_used_after_retain`.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Keep(Mutex<Vec<u8>>);

impl ConnectionEvent for Keep {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let retained = indication.retain();
        if let Some(retained) = &retained {
            let first = retained.pieces().next();
            self.0.lock().unwrap().extend(first.unwrap_or_default());
        }
        drop(retained);
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let keep = Keep(Mutex::default());
    ConnectionSocket::open_with_events(provider, Family::V4, keep)?.close()
}
