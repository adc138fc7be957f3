//! The right form of `stream_scoped_buffer_written`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"first")?;
    let sent = wsk::scope(|s| {
        let send = socket.send(&buffer).start_in(s)?;
        send.wait().map(|(sent, _)| sent)
    })??;
    buffer.as_mut_slice().copy_from_slice(b"other");
    assert_eq!(sent, buffer.len());
    Ok(())
}
