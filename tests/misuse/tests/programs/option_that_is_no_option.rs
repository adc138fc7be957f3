//! A number is set as an option, without its level and name.
//! Only the types of `wsk::option` are options.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let size = 65_536_u32;
    let _ = option::ReceiveBufferSize(size);
    socket.set_option(size).wait()
}

fn main() {
    let _ = program;
}
