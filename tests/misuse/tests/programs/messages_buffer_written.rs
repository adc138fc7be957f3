//! A buffer is written while it is in a list of datagrams that will be sent again.
//! The list borrows the buffers shared, and writing needs an exclusive borrow.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"one")?;
    let mut messages = Messages::new([&buffer]).unwrap();
    socket.send_messages(&mut messages, to).wait()?;
    buffer.as_mut_slice().copy_from_slice(b"two");
    socket.send_messages(&mut messages, to).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
