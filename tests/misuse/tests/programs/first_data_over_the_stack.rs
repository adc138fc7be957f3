//! A connect that nobody waits for sends first data from the stack.
//! A started operation owns its buffer, or borrows it for ever.

use std::net::SocketAddr;
use wsk::{ConnectionSocket, Error, Family, ListenSocket, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], listener.local_address()?.port()));
    let socket = ConnectionSocket::open(provider, Family::V4)?;
    socket.bind(Family::V4.any())?;
    let bytes = *b"on the stack";
    drop(socket.connect(remote).with_first_data(&bytes).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
