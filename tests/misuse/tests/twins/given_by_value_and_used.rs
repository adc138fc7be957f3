//! The right form of `given_by_value_and_used`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    socket.send_to(&buffer, to).wait()?;
    assert_eq!(buffer.len(), 6);
    Ok(())
}
