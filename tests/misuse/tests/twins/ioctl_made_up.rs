//! The right form of `ioctl_made_up`.

use std::net::SocketAddr;
use wsk::ioctl::RoutingInterface;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let local = socket.ioctl(RoutingInterface(to)).wait()?;
    assert_eq!(local.ip(), to.ip());
    Ok(())
}
