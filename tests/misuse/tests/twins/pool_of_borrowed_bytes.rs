//! The right form of `pool_of_borrowed_bytes`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Pool};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = Pool::new(1, |_| Ok([7_u8; 16]))?;
    drop(socket.start_send_to(pool.take_or_wait()?, to)?);
    Ok(())
}
