//! The right form of `owned_buffer_read`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::new(64)?;
    let receive = socket.receive_from(buffer).start()?;
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let finished = receive.wait().map_err(|(error, _)| error)?;
    let buffer = finished.buffer.unwrap();
    assert_eq!(&buffer.as_slice()[..9], b"to myself");
    Ok(())
}
