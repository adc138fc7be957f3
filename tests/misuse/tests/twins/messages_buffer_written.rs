//! The right form of `messages_buffer_written`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"one")?;
    let mut messages = Messages::new([buffer]).unwrap();
    socket.send_messages(&mut messages, to).wait()?;
    if let Some(buffer) = messages.get_mut(0) {
        buffer.as_mut_slice().copy_from_slice(b"two");
    }
    socket.send_messages(&mut messages, to).wait()?;
    Ok(())
}
