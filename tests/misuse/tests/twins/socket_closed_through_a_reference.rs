//! The right form of `socket_closed_through_a_reference`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

fn stop(socket: DatagramSocket) -> Result<(), Error> {
    socket.close()
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    stop(socket)
}
