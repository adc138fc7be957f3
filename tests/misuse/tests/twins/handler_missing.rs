//! The right form of `handler_missing`.

use std::net::SocketAddr;
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Ignore;

impl ReceiveFromEvent for Ignore {
    fn received(&self, _: &mut Indication<'_>) -> Verdict {
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    DatagramSocket::open_with_events(provider, Family::V4, Ignore)?.close()
}
