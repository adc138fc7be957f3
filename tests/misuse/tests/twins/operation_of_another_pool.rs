//! The right form of `operation_of_another_pool`.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::<NonPagedBuffer>::new(provider, 1)?;
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    drop(socket.send_to(buffer, to).from(&operations).start()?);
    operations.wait_until_idle()
}
