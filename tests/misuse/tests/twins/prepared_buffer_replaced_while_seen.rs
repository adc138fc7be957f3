//! The right form of `prepared_buffer_replaced_while_seen`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?).wait()?;
    let mut receiver = socket.receive_from(NonPagedBuffer::new(64)?).prepare()?;
    let arrival = receiver.wait()?;
    assert_eq!(arrival.bytes(), b"hello");
    *receiver.buffer_mut()? = NonPagedBuffer::new(32)?;
    Ok(())
}
