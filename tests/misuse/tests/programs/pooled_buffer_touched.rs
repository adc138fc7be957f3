//! A pooled buffer is filled again after it was given to a send.
//! Starting an operation takes the buffer. It goes back to the pool when the datagram has been sent.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(2, |_| NonPagedBuffer::new(16))?;
    let mut buffer = pool.take_or_wait()?;
    buffer.as_mut_slice().fill(1);
    drop(socket.send_to(buffer, to).start()?);
    buffer.as_mut_slice().fill(2);
    drop(socket.send_to(buffer, to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
