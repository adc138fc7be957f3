//! An operation is cancelled after its wait, when another operation may have the IRP.
//! Waiting takes the operation.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    send.cancel();
    assert!(finished.buffer.is_some());
    Ok(())
}

fn main() {
    let _ = program;
}
