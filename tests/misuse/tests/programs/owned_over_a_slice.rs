//! A part of a buffer is given to an operation that may go on when the buffer has been freed.
//! The part borrows the buffer, and an operation that nobody has to wait for takes only what it can own.

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
