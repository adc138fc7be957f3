//! The right form of `pooled_buffer_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Pool};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = Pool::new(1, |_| NonPagedBuffer::new(16))?;
    let buffer = pool.take_or_wait()?;
    wsk::scope(|s| {
        let send = s.send_to(socket, &buffer, to)?;
        send.wait()
    })??;
    drop(buffer);
    assert!(pool.take().is_some());
    Ok(())
}
