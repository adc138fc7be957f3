//! The right form of `request_outlives_its_socket`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    let request = {
        socket.bind(Family::V4.any())?;
        socket.send_to(b"report", to)
    };
    request.wait().map(drop)
}
