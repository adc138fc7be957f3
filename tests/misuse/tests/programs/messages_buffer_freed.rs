//! A buffer is freed while it is in a list of datagrams to send.
//! The list borrows the buffers, or owns them.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let first = NonPagedBuffer::copy_of(b"one")?;
    let second = NonPagedBuffer::copy_of(b"two")?;
    let mut messages = Messages::new([&first, &second]).unwrap();
    drop(second);
    let sent = socket.send_messages(&mut messages, to).wait()?;
    assert_eq!(sent, 6);
    Ok(())
}

fn main() {
    let _ = program;
}
