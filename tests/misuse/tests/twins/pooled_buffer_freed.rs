//! The right form of `pooled_buffer_freed`.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| NonPagedBuffer::new(16))?;
    let buffer = pool.take_or_wait()?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        send.wait()
    })??;
    drop(buffer);
    assert!(pool.take().is_some());
    Ok(())
}
