//! A socket is used as one without a fixed address after its address was fixed.
//! Fixing an address takes the socket, and gives another type that knows the address.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    let fixed = socket.fix_destination(to).map_err(|(error, _)| error)?;
    socket.send_to(b"report", to).wait()?;
    fixed.send(b"report").wait().map(drop)
}

fn main() {
    let _ = program;
}
