//! The right form of `operation_waited_for`.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::<[u8; 6]>::new(provider, 1)?;
    assert!(operations.is_idle());
    socket.send_to(*b"report", to).wait()?;
    Ok(())
}
