//! The right form of `request_with_an_operation_never_run`.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

#[deny(unused_must_use)]
pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::new(provider, 1)?;
    drop(socket.send_to(*b"report", to).from(&operations).start()?);
    operations.wait_until_idle()
}
