//! The right form of `stream_scoped_buffer_too_short_lived`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"brief")?;
    wsk::scope(|s| {
        let send = socket.send(&buffer).start_in(s)?;
        send.wait().map(|(sent, _)| assert_eq!(sent, 5))
    })?
}
