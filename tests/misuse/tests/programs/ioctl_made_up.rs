//! A number is passed as an I/O control operation.
//! Operations are types, which know their input and output. For all others there is `RawControl`, which is made with `unsafe`.

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
