//! The end of an operation is taken to have the buffer in any case.
//! A provider that broke its contract may still use the buffer: then it does not come back.

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
