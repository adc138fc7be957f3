//! A stream socket listens and connects.
//! Each of the two takes the socket.

use std::net::SocketAddr;
use wsk::{Error, Family, Provider, StreamSocket};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = StreamSocket::open(provider, Family::V4)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen().map_err(|(error, _)| error)?;
    let connected = socket.connect(listener.local_address()?).wait()?;
    connected.close()?;
    listener.close()
}

fn main() {
    let _ = program;
}
