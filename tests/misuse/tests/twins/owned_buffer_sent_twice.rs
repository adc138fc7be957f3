//! The right form of `owned_buffer_sent_twice`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let first = socket.send_to(&buffer, to).start_in(s)?;
        let second = socket.send_to(&buffer, to).start_in(s)?;
        first.wait()?;
        second.wait()?;
        Ok(())
    })?
}
