//! A reference to the bytes of a sender is kept, and written through after a send.
//! It borrows from the sender, and sending borrows the sender exclusively.

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
