//! A buffer is moved into a queue of free ones while the provider sends from it.
//! The scope borrows the buffer until it has ended, and what is borrowed cannot be moved.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut free = Vec::new();
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        free.push(buffer);
        send.wait()
    })??;
    assert_eq!(free.len(), 1);
    Ok(())
}

fn main() {
    let _ = program;
}
