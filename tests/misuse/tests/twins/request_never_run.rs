//! The right form of `request_never_run`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

#[deny(unused_must_use)]
pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"report", to).wait()?;
    Ok(())
}
