//! The right form of `owned_over_the_stack`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = *b"on the stack";
    drop(socket.send_to(bytes, to).start()?);
    Ok(())
}
