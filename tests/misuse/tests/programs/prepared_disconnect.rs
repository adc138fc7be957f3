//! A disconnect is prepared, to run again and again.
//! A connection ends once.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    drop(socket.disconnect().prepare());
    Ok(())
}

fn main() {
    let _ = program;
}
