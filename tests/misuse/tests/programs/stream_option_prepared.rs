//! An option of a stream socket is prepared, which would borrow the socket for as long as the operation is kept.
//! A stream socket becomes a listener or a connection. Prepare the option on that socket.

use std::net::SocketAddr;
use wsk::option::KeepAlive;
use wsk::{Error, Family, Provider, StreamSocket};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = StreamSocket::open(provider, Family::V4)?;
    socket.option::<KeepAlive>().prepare().map(drop)?;
    Ok(())
}

fn main() {
    let _ = program;
}
