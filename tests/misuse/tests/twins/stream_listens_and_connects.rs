//! The right form of `stream_listens_and_connects`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, Family, Provider, StreamSocket};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let socket = StreamSocket::open(provider, Family::V4)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen().map_err(|(error, _)| error)?;
    let connected = ConnectedSocket::connect(provider, listener.local_address()?).wait()?;
    connected.close()?;
    listener.close()
}
