//! The right form of `stream_handler_missing`.

use std::net::SocketAddr;
use wsk::{
    ConnectionEvent, ConnectionSocket, Error, Family, Provider, StreamIndication, StreamVerdict,
};

struct Ignore;

impl ConnectionEvent for Ignore {
    fn received(&self, _: &mut StreamIndication<'_>) -> StreamVerdict {
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ConnectionSocket::open_with_events(provider, Family::V4, Ignore)?.close()
}
