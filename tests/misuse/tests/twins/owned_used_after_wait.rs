//! The right form of `owned_used_after_wait`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    send.cancel();
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert!(finished.buffer.is_some());
    Ok(())
}
