//! An operation of a pool gets bytes of the stack, which may be gone when it sends them.
//! Such an operation owns its buffer, or borrows it for ever.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::new(provider, 1)?;
    let bytes = *b"on the stack";
    drop(socket.send_to(&bytes, to).from(&operations).start()?);
    operations.wait_until_idle()
}

fn main() {
    let _ = program;
}
