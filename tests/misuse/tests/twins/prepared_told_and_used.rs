//! The right form of `prepared_told_and_used`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    sender.wait()?;
    sender.start_with(drop)?;
    Ok(())
}
