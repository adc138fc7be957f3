//! The right form of `bytes_that_may_move`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = vec![1_u8, 2, 3];
    socket.send_to(bytes.as_slice(), to).wait().map(drop)
}
