//! The right form of `prepared_changed_in_flight`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    sender.set_remote_address(to)?;
    let sending = sender.start()?;
    let ended = sending.wait().map_err(|(error, _)| error)?;
    drop(ended);
    Ok(())
}
