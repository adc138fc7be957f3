//! A datagram is sent to an address over a connection.
//! A connection has one remote address, and its own kind of send.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let to = socket.remote_address()?;
    assert_eq!(socket.send_to(b"report", to).wait()?, 6);
    Ok(())
}

fn main() {
    let _ = program;
}
