//! A request gets its operation from a pool for another type of buffer.
//! The operations of a pool have room for one type.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let operations = Operations::<[u8; 6]>::new(provider, 1)?;
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    drop(socket.send_to(buffer, to).from(&operations).start()?);
    operations.wait_until_idle()
}

fn main() {
    let _ = program;
}
