//! Indicated bytes are read after they were retained, when another thread may have released them.
//! Retaining takes an exclusive borrow, so nothing may borrow from the indication any more.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Keep(Mutex<Vec<u8>>);

impl ConnectionEvent for Keep {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let first = indication.pieces().next();
        let retained = indication.retain();
        self.0.lock().unwrap().extend(first.unwrap_or_default());
        drop(retained);
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let keep = Keep(Mutex::default());
    ConnectionSocket::open_with_events(provider, Family::V4, keep)?.close()
}

fn main() {
    let _ = program;
}
