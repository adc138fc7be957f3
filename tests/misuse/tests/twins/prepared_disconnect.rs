//! The right form of `prepared_disconnect`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    drop(socket.disconnect().start());
    Ok(())
}
