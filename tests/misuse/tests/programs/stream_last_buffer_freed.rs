//! The buffer of a disconnect is freed while it is still being sent.
//! Starting to disconnect takes the buffer, which comes back with the result.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"goodbye")?;
    let disconnect = socket.disconnect_after(buffer).start()?;
    drop(buffer);
    drop(disconnect);
    Ok(())
}

fn main() {
    let _ = program;
}
