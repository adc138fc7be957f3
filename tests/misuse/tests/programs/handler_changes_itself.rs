//! A handler asks for exclusive access to itself, though WSK may call it on several processors at once.
//! The trait lends a handler by a shared reference.

use std::net::SocketAddr;
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Counter(usize);

impl ReceiveFromEvent for Counter {
    fn received(&mut self, indication: &mut Indication<'_>) -> Verdict {
        self.0 += indication.datagrams().count();
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let counter = Counter(0);
    DatagramSocket::open_with_events(provider, Family::V4, counter)?.close()
}

fn main() {
    let _ = program;
}
