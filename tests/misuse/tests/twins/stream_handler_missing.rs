//! The right form of `stream_handler_missing`.

use std::net::SocketAddr;
use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Ignore;

impl ConnectionEvent for Ignore {
    fn received(&self, _: &mut StreamIndication<'_>) -> StreamVerdict {
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ConnectionSocket::open_with_events(provider, Family::V4, Ignore)?.close()
}
