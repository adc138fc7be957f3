//! The right form of `scoped_handle_returned`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let sent = wsk::scope(|s| socket.send_to(&buffer, to).start_in(s)?.wait())??;
    assert_eq!(sent.0, 6);
    Ok(())
}
