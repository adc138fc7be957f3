//! A request names its source of operations, and is then dropped.
//! Naming the source runs nothing.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

#[deny(unused_must_use)]
pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::new(provider, 1)?;
    socket.send_to(*b"report", to).from(&operations);
    operations.wait_until_idle()
}

fn main() {
    let _ = program;
}
