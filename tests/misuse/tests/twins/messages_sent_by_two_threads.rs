//! The right form of `messages_sent_by_two_threads`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"echo")?;
    let mut messages = Messages::new([&buffer]).unwrap();
    let mut more = Messages::new([&buffer]).unwrap();
    let (one, other) = on_two_threads(
        || socket.send_messages(&mut messages, to).wait(),
        || socket.send_messages(&mut more, to).wait(),
    );
    assert_eq!(one? + other?, 8);
    Ok(())
}
