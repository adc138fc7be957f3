//! Bytes are sent over a socket that is not connected.
//! Only a connection can send.

use std::net::SocketAddr;
use wsk::{ConnectionSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let port = listener.local_address()?.port();
    let socket = ConnectionSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    assert_ne!(port, 0);
    assert_eq!(socket.send(b"report").wait()?, 6);
    Ok(())
}

fn main() {
    let _ = program;
}
