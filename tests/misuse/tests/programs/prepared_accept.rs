//! An accept is prepared, to run again and again.
//! Each accept allocates a new socket.

use std::net::SocketAddr;
use wsk::{Error, ListenSocket};

pub(crate) fn program(listener: &ListenSocket, _: SocketAddr) -> Result<(), Error> {
    drop(listener.accept().prepare());
    Ok(())
}

fn main() {
    let _ = program;
}
