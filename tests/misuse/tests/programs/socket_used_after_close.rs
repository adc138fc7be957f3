//! A datagram is sent on a socket that was closed.
//! Closing takes the socket.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    socket.close()?;
    socket.send_to(b"too late", to).wait().map(drop)
}

fn main() {
    let _ = program;
}
