//! A datagram is read after its receiver was dropped.
//! It borrows from the receiver, which has its bytes.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?).wait()?;
    let arrival = {
        let mut receiver = socket.receive_from(NonPagedBuffer::new(64)?).prepare()?;
        receiver.wait()?
    };
    assert_eq!(arrival.bytes(), b"hello");
    Ok(())
}

fn main() {
    let _ = program;
}
