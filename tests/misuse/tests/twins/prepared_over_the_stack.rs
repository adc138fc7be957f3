//! The right form of `prepared_over_the_stack`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7; 16];
    let mut sender = socket
        .send_to(NonPagedBuffer::copy_of(&bytes)?, to)
        .prepare()?;
    sender.wait()?;
    Ok(())
}
