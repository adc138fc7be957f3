//! The right form of `told_over_the_stack`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = *b"on the stack";
    socket.send_to(bytes, to).start_with(drop)?;
    Ok(())
}
