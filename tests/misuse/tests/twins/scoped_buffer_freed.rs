//! The right form of `scoped_buffer_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let sent = wsk::scope(|s| {
        let send = s.send_to(socket, &buffer, to)?;
        send.wait()
    })??;
    drop(buffer);
    assert_eq!(sent, 6);
    Ok(())
}
