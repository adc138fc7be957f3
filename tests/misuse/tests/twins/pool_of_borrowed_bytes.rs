//! The right form of `pool_of_borrowed_bytes`.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok([7_u8; 16]))?;
    drop(socket.send_to(pool.take_or_wait()?, to).start()?);
    Ok(())
}
