//! A function closes the socket of somebody else.
//! Closing takes the socket, and from a reference it cannot be taken.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

fn stop(socket: &DatagramSocket) -> Result<(), Error> {
    socket.close()
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    stop(&socket)
}

fn main() {
    let _ = program;
}
