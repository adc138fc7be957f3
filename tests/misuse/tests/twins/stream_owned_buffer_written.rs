//! The right form of `stream_owned_buffer_written`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"first")?;
    let send = socket.send(buffer).start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    let mut buffer = finished.buffer.unwrap();
    buffer.as_mut_slice().copy_from_slice(b"other");
    Ok(())
}
