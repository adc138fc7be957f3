//! The right form of `prepared_connect`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], listener.local_address()?.port()));
    drop(ConnectedSocket::connect(provider, remote).start());
    listener.close()
}
