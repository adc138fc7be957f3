//! The right form of `prepared_buffer_kept`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::new(16)?;
    let mut sender = socket.send_to(buffer, to).prepare()?;
    sender.as_mut_slice().fill(1);
    sender.wait()?;
    Ok(())
}
