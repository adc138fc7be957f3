//! A buffer is filled again while the provider still sends its first contents.
//! The scope borrows the buffer shared until it has ended, and writing needs an exclusive borrow.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"first")?;
    let sent = wsk::scope(|s| {
        let send = socket.send(&buffer).start_in(s)?;
        buffer.as_mut_slice().copy_from_slice(b"other");
        send.wait().map(|(sent, _)| sent)
    })??;
    assert_eq!(sent, buffer.len());
    Ok(())
}

fn main() {
    let _ = program;
}
