//! The right form of `owned_buffer_reached_into`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert_eq!(finished.buffer.unwrap().as_slice(), b"report");
    Ok(())
}
