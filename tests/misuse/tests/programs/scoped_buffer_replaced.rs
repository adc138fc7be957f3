//! A buffer is replaced by another one, and so freed, while a part of it is being sent.
//! The part borrows the buffer, and the scope borrows the part until it has ended: the buffer cannot be assigned to.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"header and payload")?;
    let payload = buffer.slice(11..)?;
    wsk::scope(|s| {
        let send = socket.send_to(&payload, to).start_in(s)?;
        buffer = NonPagedBuffer::new(64)?;
        send.wait()
    })??;
    assert!(!buffer.is_empty());
    Ok(())
}

fn main() {
    let _ = program;
}
