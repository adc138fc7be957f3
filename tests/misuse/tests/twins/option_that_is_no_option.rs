//! The right form of `option_that_is_no_option`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let size = 65_536_u32;
    socket.set_option(option::ReceiveBufferSize(size)).wait()
}
