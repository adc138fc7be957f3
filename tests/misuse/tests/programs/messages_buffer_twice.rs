//! One buffer, with its one MDL, is put into a list twice, to send it twice.
//! A list that owns its buffers takes each of them. A list that borrows them may have the same buffer twice.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"echo")?;
    let mut messages = Messages::new([buffer, buffer]).unwrap();
    let sent = socket.send_messages(&mut messages, to).wait()?;
    assert_eq!(sent, 8);
    Ok(())
}

fn main() {
    let _ = program;
}
