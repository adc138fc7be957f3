//! A function closes a socket that it does not own.
//! Closing takes the socket, and a reference does not give it away.

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
