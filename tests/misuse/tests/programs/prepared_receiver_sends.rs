//! A datagram is sent with what is prepared to receive.
//! Each knows its own direction.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receiver(NonPagedBuffer::new(16)?)?;
    let _ = to;
    receiver.send()?;
    Ok(())
}

fn main() {
    let _ = program;
}
