//! The bytes of a sender are kept, and written again after it was told to send.
//! They borrow from the sender, which sending needs for itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    let bytes = sender.as_mut_slice();
    bytes.fill(1);
    sender.wait()?;
    bytes.fill(2);
    sender.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
