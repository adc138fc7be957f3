//! The right form of `handler_borrows`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

static DATAGRAMS: AtomicUsize = AtomicUsize::new(0);

struct Counter(&'static AtomicUsize);

impl ReceiveFromEvent for Counter {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let more = indication.datagrams().count();
        self.0.fetch_add(more, Ordering::Relaxed);
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let counter = Counter(&DATAGRAMS);
    DatagramSocket::open_with_events(provider, Family::V4, counter)?.close()
}
