//! A buffer is freed while its MDL is in use.
//! The lock, which gives the MDL away, borrows the buffer.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, SendBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let lock = buffer.lock()?;
    drop(buffer);
    assert_eq!(lock.extent().len(), 6);
    Ok(())
}

fn main() {
    let _ = program;
}
