//! The right form of `address_as_text`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let text = to.to_string();
    let to: SocketAddr = text.parse().unwrap();
    socket.send_to(b"report", to).wait()?;
    Ok(())
}
