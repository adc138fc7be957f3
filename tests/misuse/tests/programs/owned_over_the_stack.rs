//! Bytes on the stack are lent to an operation that may still run when the function has returned.
//! An operation that nobody has to wait for owns its buffer, or borrows it for ever: the borrow has to be `'static`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = *b"on the stack";
    drop(socket.send_to(&bytes, to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
