//! A scope is kept, to start an operation after it has ended and nobody waits any more.
//! The scope is lent to its body only, for a lifetime that no variable outside of it can have.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let mut kept = None;
    wsk::scope(|s| kept = Some(s))?;
    if let Some(s) = kept {
        socket.send_to(&buffer, to).start_in(s)?.wait()?;
    }
    Ok(())
}

fn main() {
    let _ = program;
}
