//! The right form of `socket_used_after_fixing`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    let fixed = socket.fix_destination(to).map_err(|(error, _)| error)?;
    fixed.send_to(b"report", to).wait()?;
    fixed.send(b"report").wait().map(drop)
}
