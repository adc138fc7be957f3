//! The right form of `receive_into_shared`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let mut room = NonPagedBuffer::new(64)?;
    let received = socket.receive_from(&mut room).wait()?;
    assert_eq!(&room.as_slice()[..received.length()], b"to myself");
    Ok(())
}
