//! The right form of `basic_socket_bound`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.close()
}
