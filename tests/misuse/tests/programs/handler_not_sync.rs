//! A handler counts in a cell, though WSK may call it on several processors at once.
//! Handlers have to be `Sync`.

use std::cell::Cell;
use std::net::SocketAddr;
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Counter {
    datagrams: Cell<usize>,
}

impl ReceiveFromEvent for Counter {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let more = indication.datagrams().count();
        self.datagrams.set(self.datagrams.get() + more);
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let counter = Counter {
        datagrams: Cell::new(0),
    };
    DatagramSocket::open_with_events(provider, Family::V4, counter)?.close()
}

fn main() {
    let _ = program;
}
