//! A scope returns the handle of an operation instead of its result.
//! The type that a scope returns cannot name the lifetime of its handles.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let send = wsk::scope(|s| socket.send_to(&buffer, to).start_in(s))??;
    send.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
