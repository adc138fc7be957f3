//! An operation gets a part of a buffer, and may still run when the buffer has been freed.
//! The part borrows the buffer. An operation that nobody has to wait for takes only buffers that it can own.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"header and payload")?;
    let payload = buffer.slice(11..)?;
    drop(socket.send_to(payload, to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
