//! The right form of `stream_owned_over_the_stack`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let bytes = *b"report";
    let send = socket.send(bytes).start()?;
    drop(send);
    Ok(())
}
