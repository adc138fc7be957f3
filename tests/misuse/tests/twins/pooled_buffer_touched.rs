//! The right form of `pooled_buffer_touched`.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(2, |_| NonPagedBuffer::new(16))?;
    let mut buffer = pool.take_or_wait()?;
    buffer.as_mut_slice().fill(1);
    drop(socket.send_to(buffer, to).start()?);
    let mut buffer = pool.take_or_wait()?;
    buffer.as_mut_slice().fill(2);
    drop(socket.send_to(buffer, to).start()?);
    Ok(())
}
