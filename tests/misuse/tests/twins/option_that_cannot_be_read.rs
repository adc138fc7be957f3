//! The right form of `option_that_cannot_be_read`.

use std::net::{Ipv4Addr, SocketAddr};
use wsk::{DatagramSocket, Error, option};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (group, interface) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
    socket
        .set_option(option::JoinV4 { group, interface })
        .wait()
}
