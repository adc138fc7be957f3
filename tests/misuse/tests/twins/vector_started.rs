//! The right form of `vector_started`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = vec![1_u8, 2, 3];
    drop(
        socket
            .send_to(NonPagedBuffer::copy_of(&bytes)?, to)
            .start()?,
    );
    Ok(())
}
