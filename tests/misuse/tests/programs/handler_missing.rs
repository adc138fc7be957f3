//! A socket is opened for events with a type that is not a handler.
//! Handlers implement `ReceiveFromEvent`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

struct Ignore;

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    DatagramSocket::open_with_events(provider, Family::V4, Ignore)?.close()
}

fn main() {
    let _ = program;
}
