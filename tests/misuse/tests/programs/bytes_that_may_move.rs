//! A vector is sent from, which is no buffer: it may be in pageable memory and grow elsewhere.
//! Only what implements `SendBuffer` can be sent: slices and arrays for the time of a call, buffers of the crate, types of one's own.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = vec![1_u8, 2, 3];
    socket.send_to(&bytes, to).wait().map(drop)
}

fn main() {
    let _ = program;
}
