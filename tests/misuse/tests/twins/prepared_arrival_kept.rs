//! The right form of `prepared_arrival_kept`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receiver(NonPagedBuffer::new(64)?)?;
    let myself = socket.local_address()?;
    socket.send_to(b"one", myself)?;
    socket.send_to(b"three", myself)?;
    let first = receiver.receive()?.length();
    let second = receiver.receive()?.length();
    assert_eq!(first + second, 8);
    Ok(())
}
