//! One operation of a pool, which has one IRP, is used for two requests at once.
//! A request takes the operation.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::new(provider, 2)?;
    let one = operations.take_or_wait()?;
    let first = socket.send_to(*b"report", to).from(one).start()?;
    let second = socket.send_to(*b"report", to).from(one).start()?;
    drop((first, second));
    operations.wait_until_idle()
}

fn main() {
    let _ = program;
}
