//! A datagram is added to a list while the provider sends the list.
//! The operation owns the list, and gives it back when it is over.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut messages = Messages::with_capacity(2)?;
    assert!(messages.push(NonPagedBuffer::copy_of(b"one")?).is_ok());
    let send = socket.send_messages(messages, to).start()?;
    assert!(messages.push(NonPagedBuffer::copy_of(b"two")?).is_ok());
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert!(finished.buffer.is_some());
    Ok(())
}

fn main() {
    let _ = program;
}
