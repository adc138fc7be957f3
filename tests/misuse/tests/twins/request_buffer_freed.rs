//! The right form of `request_buffer_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let request = socket.send_to(&buffer, to);
    request.wait()?;
    drop(buffer);
    Ok(())
}
