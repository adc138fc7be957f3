//! The right form of `prepared_receiver_sends`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.sender(NonPagedBuffer::new(16)?, to)?;
    sender.send()?;
    Ok(())
}
