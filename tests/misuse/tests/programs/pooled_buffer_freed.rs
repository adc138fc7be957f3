//! A pooled buffer goes back to its pool, where others take it, while it is being sent.
//! The scope borrows the buffer until it has ended, so it cannot go back.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| NonPagedBuffer::new(16))?;
    let buffer = pool.take_or_wait()?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        drop(buffer);
        send.wait()
    })??;
    assert!(pool.take().is_some());
    Ok(())
}

fn main() {
    let _ = program;
}
