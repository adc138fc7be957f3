//! The right form of `start_send_without_address`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    let socket = socket.fix_remote_address(to).map_err(|(error, _)| error)?;
    drop(socket.send(buffer).start()?);
    Ok(())
}
