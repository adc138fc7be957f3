//! The right form of `owned_messages_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"one of many")?;
    let messages = Messages::new([buffer])?;
    let send = socket.send_messages(messages, to).start()?;
    let finished = send.wait().map_err(|(error, _)| error)?;
    drop(finished.buffer);
    assert_eq!(finished.result?, 11);
    Ok(())
}
