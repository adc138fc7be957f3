//! A datagram is looked at after the next one was received into the same bytes.
//! An arrival borrows from the receiver, which receiving needs for itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receiver(NonPagedBuffer::new(64)?)?;
    let myself = socket.local_address()?;
    socket.send_to(b"one", myself)?;
    socket.send_to(b"three", myself)?;
    let first = receiver.receive()?;
    let second = receiver.receive()?;
    assert_eq!(first.length() + second.length(), 8);
    Ok(())
}

fn main() {
    let _ = program;
}
