//! A request to send a datagram is dropped.
//! A request does nothing until a finisher runs it. The compiler warns if none does.

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
