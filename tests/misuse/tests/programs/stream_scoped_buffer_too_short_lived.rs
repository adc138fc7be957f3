//! A buffer is gone at the end of a block, while the provider still sends it.
//! A value that a scope borrows has to outlive the scope.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    wsk::scope(|s| {
        let send = {
            let buffer = NonPagedBuffer::copy_of(b"brief")?;
            socket.send(&buffer).start_in(s)?
        };
        send.wait().map(|(sent, _)| assert_eq!(sent, 5))
    })?
}

fn main() {
    let _ = program;
}
