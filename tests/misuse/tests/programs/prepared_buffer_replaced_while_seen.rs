//! The buffer of a receiver is replaced while the datagram in it is read.
//! An arrival borrows the receiver.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?).wait()?;
    let mut receiver = socket.receive_from(NonPagedBuffer::new(64)?).prepare()?;
    let arrival = receiver.wait()?;
    *receiver.buffer_mut()? = NonPagedBuffer::new(32)?;
    assert_eq!(arrival.bytes(), b"hello");
    Ok(())
}

fn main() {
    let _ = program;
}
