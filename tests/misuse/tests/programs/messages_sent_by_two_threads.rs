//! Two threads send one list of datagrams at the same time: each would link it while the provider walks it for the other.
//! Sending borrows the list exclusively. The buffers may be shared; each thread makes a list of its own.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"echo")?;
    let mut messages = Messages::new([&buffer]).unwrap();
    let (one, other) = on_two_threads(
        || socket.send_messages(&mut messages, to).wait(),
        || socket.send_messages(&mut messages, to).wait(),
    );
    assert_eq!(one? + other?, 8);
    Ok(())
}

fn main() {
    let _ = program;
}
