//! A connected socket waits for a connection.
//! Accepting exists only on listening sockets.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let local = socket.local_address()?;
    assert!(local.is_ipv4());
    drop(socket.accept().start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
