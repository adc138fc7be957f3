//! WSK calls the functions in the table of an extension interface, with its context.
//! The constructor is `unsafe`: its caller promises that both are valid.

use core::ptr;
use std::net::SocketAddr;
use wsk::ioctl::Extension;
use wsk::{DatagramSocket, Error};
use wsk_sys::{NPI_WSK_INTERFACE_ID, STATUS_NOT_SUPPORTED};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let interface = &NPI_WSK_INTERFACE_ID;
    let extension = Extension::new(interface, ptr::null_mut(), ptr::null());
    let Err(Error::Call { status, .. }) = socket.register_extension(extension) else {
        return Ok(());
    };
    assert_eq!(status, STATUS_NOT_SUPPORTED);
    Ok(())
}

fn main() {
    let _ = program;
}
