//! The right form of `owned_over_a_slice`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"header and payload")?;
    let payload = buffer.slice(11..)?;
    socket.send_to(&payload, to).wait().map(drop)
}
