//! The right form of `lock_outlives_the_buffer`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, SendBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let lock = buffer.lock()?;
    assert_eq!(lock.extent().len(), 6);
    drop(lock);
    drop(buffer);
    Ok(())
}
