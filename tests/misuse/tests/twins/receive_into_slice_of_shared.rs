//! The right form of `receive_into_slice_of_shared`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let mut buffer = NonPagedBuffer::new(64)?;
    socket.receive_from(&mut buffer).wait()?;
    Ok(())
}
