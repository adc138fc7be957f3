//! The right form of `extension_without_unsafe`.

use core::ptr;
use std::net::SocketAddr;
use wsk::ioctl::Extension;
use wsk::{DatagramSocket, Error};
use wsk_sys::{NPI_WSK_INTERFACE_ID, STATUS_NOT_SUPPORTED};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let interface = &NPI_WSK_INTERFACE_ID;
    // SAFETY: WSK has no such interface, and calls nothing.
    let extension = unsafe { Extension::new(interface, ptr::null_mut(), ptr::null()) };
    let Err(Error::Call { status, .. }) = socket.register_extension(extension) else {
        return Ok(());
    };
    assert_eq!(status, STATUS_NOT_SUPPORTED);
    Ok(())
}
