//! A buffer is written after it was given to a send, which may be reading it.
//! Starting an operation takes the buffer, which comes back with the result.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"first")?;
    let send = socket.send_to(buffer, to).start()?;
    buffer.as_mut_slice().copy_from_slice(b"other");
    drop(send);
    Ok(())
}

fn main() {
    let _ = program;
}
