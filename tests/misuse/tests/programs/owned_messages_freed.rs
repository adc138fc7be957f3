//! A list of datagrams is dropped while the provider sends it.
//! The operation owns the list, and gives it back when it is over.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"one of many")?;
    let messages = Messages::new([buffer])?;
    let send = socket.send_messages(messages, to).start()?;
    drop(messages);
    let finished = send.wait().map_err(|(error, _)| error)?;
    assert_eq!(finished.result?, 11);
    Ok(())
}

fn main() {
    let _ = program;
}
