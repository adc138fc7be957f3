//! A buffer is written directly after a sender was made over it.
//! The sender owns the buffer. The driver writes through the sender, while it is not sending.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::new(16)?;
    let mut sender = socket.send_to(buffer, to).prepare()?;
    buffer.as_mut_slice().fill(1);
    sender.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
