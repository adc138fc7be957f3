//! The right form of `scoped_request_of_a_short_lived_socket`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    wsk::scope(|s| {
        socket.bind(Family::V4.any())?;
        let send = socket.send_to(b"report", to).start_in(s)?;
        send.wait().map(drop)
    })?
}
