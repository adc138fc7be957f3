//! The right form of `scoped_handle_returned`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let sent = wsk::scope(|s| s.send_to(socket, &buffer, to)?.wait())??;
    assert_eq!(sent, 6);
    Ok(())
}
