//! A datagram is received into a buffer that is borrowed shared, and that others may be reading.
//! Receiving needs an exclusive borrow.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let room = NonPagedBuffer::new(64)?;
    let received = socket.receive_from(&room).wait()?;
    assert_eq!(&room.as_slice()[..received.length()], b"to myself");
    Ok(())
}

fn main() {
    let _ = program;
}
