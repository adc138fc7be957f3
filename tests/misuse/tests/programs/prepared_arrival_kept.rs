//! A datagram is read after the next one was received into the same bytes.
//! An arrival borrows from the receiver, and receiving borrows the receiver exclusively.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receive_from(NonPagedBuffer::new(64)?).prepare()?;
    let myself = socket.local_address()?;
    socket.send_to(b"one", myself).wait()?;
    socket.send_to(b"three", myself).wait()?;
    let first = receiver.wait()?;
    let second = receiver.wait()?;
    assert_eq!(first.length() + second.length(), 8);
    Ok(())
}

fn main() {
    let _ = program;
}
