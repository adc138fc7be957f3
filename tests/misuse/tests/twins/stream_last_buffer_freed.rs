//! The right form of `stream_last_buffer_freed`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"goodbye")?;
    let disconnect = socket.disconnect_after(buffer).start()?;
    let finished = disconnect.wait().map_err(|(error, _)| error)?;
    drop(finished.buffer);
    finished.result
}
