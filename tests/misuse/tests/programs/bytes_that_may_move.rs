//! A vector is sent. It is not a buffer: it may be in pageable memory, and moves when it grows.
//! Only types that implement `SendBuffer` can be sent: slices and arrays during a call, the crate's buffers, your own types.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = vec![1_u8, 2, 3];
    socket.send_to(&bytes, to).wait().map(drop)
}

fn main() {
    let _ = program;
}
