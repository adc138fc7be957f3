//! The right form of `handler_borrows`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::{DatagramSocket, Error, Family, Indication, Provider, ReceiveFromEvent, Verdict};

struct Counter(Arc<AtomicUsize>);

impl ReceiveFromEvent for Counter {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let more = indication.datagrams().count();
        self.0.fetch_add(more, Ordering::Relaxed);
        Verdict::Consumed
    }
}

pub fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let datagrams = Arc::new(AtomicUsize::new(0));
    let counter = Counter(Arc::clone(&datagrams));
    DatagramSocket::open_with_events(provider, Family::V4, counter)?.close()
}
