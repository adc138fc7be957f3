//! The right form of `prepared_bytes_kept_across_send`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    sender.as_mut_slice().fill(1);
    sender.wait()?;
    sender.as_mut_slice().fill(2);
    sender.wait()?;
    Ok(())
}
