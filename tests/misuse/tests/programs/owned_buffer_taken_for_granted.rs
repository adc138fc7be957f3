//! A driver expects the buffer back from every operation.
//! After a breach of contract, the provider may still use the buffer: then it does not come back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    let buffer: NonPagedBuffer = finished.buffer;
    assert_eq!(buffer.as_slice(), b"report");
    Ok(())
}

fn main() {
    let _ = program;
}
