//! The right form of `stream_option_prepared`.

use std::net::SocketAddr;
use wsk::option::KeepAlive;
use wsk::{Error, Family, Provider, StreamSocket};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = StreamSocket::open(provider, Family::V4)?.into_connection();
    socket.option::<KeepAlive>().prepare().map(drop)?;
    Ok(())
}
