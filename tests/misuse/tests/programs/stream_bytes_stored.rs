//! Indicated bytes are kept after the event, when they belong to WSK again.
//! Slices of an indication live as long as the event. A retained indication owns its bytes.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Keep(Mutex<Vec<&'static [u8]>>);

impl ConnectionEvent for Keep {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        self.0.lock().unwrap().extend(indication.pieces());
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
