//! A receiver gets an address to send to.
//! Only a sender has an address to set.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receive_from(NonPagedBuffer::new(16)?).prepare()?;
    receiver.set_remote_address(to)?;
    receiver.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
