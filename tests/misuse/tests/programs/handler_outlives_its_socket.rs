//! The handler of a socket is used after the socket was closed: closing drops the handler.
//! A socket lends its handler, and closing takes the socket.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

#[derive(Default)]
struct Counter(AtomicUsize);

impl ReceiveFromEvent for Counter {
    fn received(&self, _: &mut Indication<'_>) -> Verdict {
        self.0.fetch_add(1, Ordering::Relaxed);
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open_with_events(provider, Family::V4, Counter::default())?;
    let handler = socket.handler::<Counter>();
    socket.close()?;
    assert!(handler.is_some_and(|counter| counter.0.load(Ordering::Relaxed) == 0));
    Ok(())
}

fn main() {
    let _ = program;
}
