//! The right form of `scoped_socket_too_short_lived`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let socket = DatagramSocket::open(provider, Family::V4)?;
    wsk::scope(|s| {
        socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
        let receive = socket.receive_from(&mut room).start_in(s)?;
        receive.cancel();
        Ok(())
    })?
}
