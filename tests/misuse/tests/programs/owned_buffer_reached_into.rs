//! The buffer of an operation in flight is read through the operation.
//! An operation gives no access to its buffer until it has ended.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let send = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .start()?;
    assert_eq!(send.buffer.as_slice(), b"report");
    Ok(())
}

fn main() {
    let _ = program;
}
