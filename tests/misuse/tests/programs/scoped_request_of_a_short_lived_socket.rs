//! A scope runs a request of a socket that closes before the scope ends.
//! A scope waits for what borrows what outlives it: the socket too.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    wsk::scope(|s| {
        let socket = DatagramSocket::open(provider, Family::V4)?;
        socket.bind(Family::V4.any())?;
        let send = socket.send_to(b"report", to).start_in(s)?;
        send.wait().map(drop)
    })?
}

fn main() {
    let _ = program;
}
