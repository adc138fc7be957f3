//! The right form of `scoped_messages_written`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"one of many")?;
    let mut messages = Messages::new([buffer])?;
    wsk::scope(|s| {
        let send = s.send_messages(socket, &mut messages, to)?;
        send.wait()
    })??;
    messages.buffers_mut()[0].as_mut_slice().fill(0);
    Ok(())
}
