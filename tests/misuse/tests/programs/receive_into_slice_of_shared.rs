//! A datagram is received into a part of a buffer, of which others may be sending the same part.
//! Parts are for sending: they share the buffer, and do not implement `ReceiveBuffer`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let buffer = NonPagedBuffer::new(64)?;
    let mut room = buffer.slice(32..)?;
    socket.receive_from(&mut room).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
