//! The right form of `scoped_buffer_moved`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut free = Vec::new();
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        send.wait()
    })??;
    free.push(buffer);
    assert_eq!(free.len(), 1);
    Ok(())
}
