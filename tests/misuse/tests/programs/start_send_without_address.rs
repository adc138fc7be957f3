//! A send without an address is started on a socket that has no fixed one.
//! Only a socket with a fixed remote address or destination has a send without an address.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    drop(socket.send(buffer).start()?);
    let _ = to;
    Ok(())
}

fn main() {
    let _ = program;
}
