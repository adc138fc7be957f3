//! The right form of `scoped_buffer_too_short_lived`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let _in_flight = socket.send_to(&buffer, to).start_in(s)?;
        Ok(())
    })?
}
