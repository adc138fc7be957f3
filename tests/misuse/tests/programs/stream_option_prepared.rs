//! A stream socket's option is prepared, which would keep the socket as it is for as long as that is there.
//! It is about to become something else: what it becomes can be kept.

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
