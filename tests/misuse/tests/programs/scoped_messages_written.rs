//! A buffer in a list of datagrams is written while the provider sends the list.
//! The scope borrows the list exclusively until it has ended.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Messages, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"one of many")?;
    let mut messages = Messages::new([buffer])?;
    wsk::scope(|s| {
        let send = socket.send_messages(&mut messages, to).start_in(s)?;
        if let Some(buffer) = messages.get_mut(0) {
            buffer.as_mut_slice().fill(0);
        }
        send.wait()
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
