//! A socket that a scope connects is used for another purpose meanwhile.
//! Connecting takes the socket, which comes back connected.

use std::net::SocketAddr;
use wsk::{ConnectionSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], listener.local_address()?.port()));
    let socket = ConnectionSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let connected = wsk::scope(|s| {
        let connect = socket.connect(remote).start_in(s)?;
        socket.close()?;
        Ok::<_, Error>(connect.wait()?)
    })??;
    connected.close()
}

fn main() {
    let _ = program;
}
