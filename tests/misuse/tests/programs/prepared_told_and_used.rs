//! A sender is run while its operation is in flight.
//! Starting takes the sender, and the completion gets it back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    sender.start_with(drop)?;
    sender.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
