//! A buffer is written after it was given to a send, which may be reading it.
//! Starting an operation takes the buffer, which comes back with the result.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"first")?;
    let send = socket.send(buffer).start()?;
    buffer.as_mut_slice().copy_from_slice(b"other");
    drop(send);
    Ok(())
}

fn main() {
    let _ = program;
}
