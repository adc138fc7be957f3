//! The right form of `static_bytes_received_into`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    drop(socket.receive_from([0_u8; 64]).start()?);
    Ok(())
}
