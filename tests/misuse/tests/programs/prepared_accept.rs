//! Accepting is prepared, to be done again and again.
//! Each connection is a socket, which is allocated anew.

use std::net::SocketAddr;
use wsk::{Error, ListenSocket};

pub(crate) fn program(listener: &ListenSocket, _: SocketAddr) -> Result<(), Error> {
    drop(listener.accept().prepare());
    Ok(())
}

fn main() {
    let _ = program;
}
