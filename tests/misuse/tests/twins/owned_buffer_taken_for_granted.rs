//! The right form of `owned_buffer_taken_for_granted`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    let Some(buffer) = finished.buffer else {
        return NonPagedBuffer::new(6).map(drop);
    };
    assert_eq!(buffer.as_slice(), b"report");
    Ok(())
}
