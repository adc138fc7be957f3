//! The right form of `stream_accepted_on_a_connection`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let local = socket.local_address()?;
    assert!(local.is_ipv4());
    drop(socket.send([1; 4]).start()?);
    Ok(())
}
