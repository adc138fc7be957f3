//! A datagram is sent, or so it looks: the request is dropped.
//! A request does nothing until a finisher runs it, and the compiler warns of one that none does.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

#[deny(unused_must_use)]
pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"report", to);
    Ok(())
}

fn main() {
    let _ = program;
}
