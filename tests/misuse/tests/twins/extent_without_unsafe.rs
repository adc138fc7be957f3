//! The right form of `extent_without_unsafe`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, NonPagedBuffer, SendBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::new(16)?;
    let part: Extent = buffer.lock()?.extent();
    assert_eq!(part.len(), 16);
    Ok(())
}
