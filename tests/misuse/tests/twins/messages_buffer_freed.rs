//! The right form of `messages_buffer_freed`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let first = NonPagedBuffer::copy_of(b"one")?;
    let second = NonPagedBuffer::copy_of(b"two")?;
    let mut messages = Messages::new([&first, &second]).unwrap();
    let sent = socket.send_messages(&mut messages, to).wait()?;
    drop(messages);
    drop(second);
    assert_eq!(sent, 6);
    Ok(())
}
