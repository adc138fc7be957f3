//! A request runs after its socket has closed.
//! It borrows its socket.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let request = {
        let socket = DatagramSocket::open(provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        socket.send_to(b"report", to)
    };
    request.wait().map(drop)
}

fn main() {
    let _ = program;
}
