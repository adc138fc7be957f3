//! The right form of `option_of_another_type`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.set_option(option::TimeToLive(3)).wait()
}
