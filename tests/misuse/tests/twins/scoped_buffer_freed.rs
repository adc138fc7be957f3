//! The right form of `scoped_buffer_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let sent = wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        send.wait().map(|(sent, _)| sent)
    })??;
    drop(buffer);
    assert_eq!(sent, 6);
    Ok(())
}
