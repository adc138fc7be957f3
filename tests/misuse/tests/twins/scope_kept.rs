//! The right form of `scope_kept`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        socket.send_to(&buffer, to).start_in(s)?.wait()?;
        Ok(())
    })?
}
