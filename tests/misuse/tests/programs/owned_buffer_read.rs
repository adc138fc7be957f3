//! A buffer is read after it was given to a receive, which may be writing to it.
//! Starting an operation takes the buffer, which comes back with the result.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::new(64)?;
    let receive = socket.receive_from(buffer).start()?;
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    assert_eq!(&buffer.as_slice()[..9], b"to myself");
    drop(receive);
    Ok(())
}

fn main() {
    let _ = program;
}
