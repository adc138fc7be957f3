//! The right form of `stream_sent_before_connect`.

use std::net::SocketAddr;
use wsk::{ConnectionSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let port = listener.local_address()?.port();
    let socket = ConnectionSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], port));
    let socket = socket.connect(remote).wait()?;
    assert_eq!(socket.send(b"report").wait()?, 6);
    Ok(())
}
