//! The bytes of a sender are kept, and written again after it was told to send.
//! They borrow from the sender, which sending needs for itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.sender(NonPagedBuffer::new(16)?, to)?;
    let bytes = sender.as_mut_slice();
    bytes.fill(1);
    sender.send()?;
    bytes.fill(2);
    sender.send()?;
    Ok(())
}

fn main() {
    let _ = program;
}
