//! A number is taken for an I/O control operation.
//! Operations are types, which know what goes in and out; for others there is the `unsafe` `control_raw`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};
use wsk_sys::SIO_ROUTING_INTERFACE_QUERY;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let local = socket.ioctl(SIO_ROUTING_INTERFACE_QUERY).wait()?;
    assert_eq!(local.ip(), to.ip());
    Ok(())
}

fn main() {
    let _ = program;
}
