//! A buffer is used after it was given to a request by value.
//! A request that waits drops a buffer that it got by value. Give it a reference to keep the buffer.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    socket.send_to(buffer, to).wait()?;
    assert_eq!(buffer.len(), 6);
    Ok(())
}

fn main() {
    let _ = program;
}
