//! A connection is made for events with a type that is not a handler.
//! Handlers implement `ConnectionEvent`.

use std::net::SocketAddr;
use wsk::{ConnectionSocket, Error, Family, Provider};

struct Ignore;

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    ConnectionSocket::open_with_events(provider, Family::V4, Ignore)?.close()
}

fn main() {
    let _ = program;
}
