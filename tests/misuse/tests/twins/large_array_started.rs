//! The right form of `large_array_started`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7_u8; 1025];
    let buffer = NonPagedBuffer::copy_of(&bytes)?;
    drop(socket.send_to(buffer, to).start()?);
    Ok(())
}
