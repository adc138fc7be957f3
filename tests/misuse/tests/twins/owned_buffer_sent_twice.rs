//! The right form of `owned_buffer_sent_twice`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let first = s.send_to(socket, &buffer, to)?;
        let second = s.send_to(socket, &buffer, to)?;
        first.wait()?;
        second.wait()?;
        Ok(())
    })?
}
