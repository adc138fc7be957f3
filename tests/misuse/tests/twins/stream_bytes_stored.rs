//! The right form of `stream_bytes_stored`.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::events::{ConnectionEvent, RetainedBytes, StreamIndication, StreamVerdict};
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Keep(Mutex<Vec<RetainedBytes>>);

impl ConnectionEvent for Keep {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        self.0.lock().unwrap().extend(indication.retain());
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let keep = Keep(Mutex::default());
    ConnectionSocket::open_with_events(provider, Family::V4, keep)?.close()
}
