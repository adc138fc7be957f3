//! A request that waits gets an operation from a pool.
//! A request that waits allocates no operation, and needs no pool.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::<[u8; 6]>::new(provider, 1)?;
    socket.send_to(*b"report", to).from(&operations).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
