//! Bytes on the stack are lent to an operation with a completion, which may run after the function has returned.
//! An operation that nobody has to wait for owns its buffer.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = *b"on the stack";
    socket.send_to(&bytes, to).start_with(drop)?;
    Ok(())
}

fn main() {
    let _ = program;
}
