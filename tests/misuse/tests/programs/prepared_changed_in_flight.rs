//! The address of a sender is changed while its operation is in flight.
//! Starting takes the sender, which comes back with the result.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    let sending = sender.start()?;
    sender.set_remote_address(to)?;
    let ended = sending.wait().map_err(|(error, _)| error)?;
    drop(ended);
    Ok(())
}

fn main() {
    let _ = program;
}
