//! The right form of `prepared_arrival_outlives_the_receiver`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?)?;
    let mut receiver = socket.receiver(NonPagedBuffer::new(64)?)?;
    let arrival = receiver.receive()?;
    assert_eq!(arrival.bytes(), b"hello");
    Ok(())
}
