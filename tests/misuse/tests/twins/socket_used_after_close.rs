//! The right form of `socket_used_after_close`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    socket.send_to(b"in time", to).wait()?;
    socket.close()
}
