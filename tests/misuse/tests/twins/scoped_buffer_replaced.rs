//! The right form of `scoped_buffer_replaced`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"header and payload")?;
    let payload = buffer.slice(11..)?;
    wsk::scope(|s| {
        let send = socket.send_to(&payload, to).start_in(s)?;
        send.wait()
    })??;
    buffer = NonPagedBuffer::new(64)?;
    assert!(!buffer.is_empty());
    Ok(())
}
