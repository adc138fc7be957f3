//! The right form of `prepared_receiver_sends`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    sender.set_remote_address(to)?;
    sender.wait()?;
    Ok(())
}
