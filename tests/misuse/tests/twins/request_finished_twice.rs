//! The right form of `request_finished_twice`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let mut sender = socket.send_to(buffer, to).prepare()?;
    sender.wait()?;
    sender.wait()?;
    Ok(())
}
