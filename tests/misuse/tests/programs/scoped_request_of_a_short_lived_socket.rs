//! A scope runs a request of a socket that closes before the scope ends.
//! A request in a scope borrows only values that outlive the scope, and so does its socket.

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
