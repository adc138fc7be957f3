//! A connect is prepared, to run again and again.
//! A socket connects once, and becomes the connection.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], listener.local_address()?.port()));
    drop(ConnectedSocket::connect(provider, remote).prepare());
    listener.close()
}

fn main() {
    let _ = program;
}
