//! A send that may outlast the function reads bytes on its stack.
//! Started operations own their buffers, and borrow nothing.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let bytes = *b"report";
    let send = socket.send(&bytes).start()?;
    drop(send);
    Ok(())
}

fn main() {
    let _ = program;
}
