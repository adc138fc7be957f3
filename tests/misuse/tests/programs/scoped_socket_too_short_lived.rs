//! A socket is opened inside the scope, and dropped by the scope's body while its receive is in flight.
//! The socket of a scoped operation has to live as long as the scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    wsk::scope(|s| {
        let socket = DatagramSocket::open(provider, Family::V4)?;
        socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
        let receive = socket.receive_from(&mut room).start_in(s)?;
        receive.cancel();
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
