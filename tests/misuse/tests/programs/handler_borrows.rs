//! A handler borrows a variable of the function that opens the socket, which may return long before the socket closes.
//! Handlers have to be `'static`: they own or share what they use.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Counter(&'static AtomicUsize);

impl ReceiveFromEvent for Counter {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let more = indication.datagrams().count();
        self.0.fetch_add(more, Ordering::Relaxed);
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let datagrams = AtomicUsize::new(0);
    let counter = Counter(&datagrams);
    DatagramSocket::open_with_events(provider, Family::V4, counter)?.close()
}

fn main() {
    let _ = program;
}
