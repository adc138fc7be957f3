//! A basic socket is bound, to send datagrams from.
//! A basic socket has neither address nor data. It is for options and control operations.

use std::net::SocketAddr;
use wsk::{BasicSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = BasicSocket::open_datagram(provider, Family::V4)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.close()
}

fn main() {
    let _ = program;
}
