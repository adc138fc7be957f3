//! A vector is given to an operation that runs by itself.
//! Only types that implement `SendBuffer` can be sent. A copy in nonpaged pool does.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = vec![1_u8, 2, 3];
    drop(socket.send_to(bytes, to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
