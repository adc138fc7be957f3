//! A driver's own MDL is made a buffer without a promise about it.
//! That the chain is locked, and stays as it is until it is dropped, is for the driver to say, with `unsafe`.

use std::net::SocketAddr;
use std::ptr::NonNull;
use wsk::{DatagramSocket, DriverMdl, Error, NonPagedBuffer, SendBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"of the driver")?;
    let lock = buffer.lock()?;
    let Some(mdl) = NonNull::new(lock.extent().as_wsk_buf().Mdl) else {
        return Err(Error::NoMessages);
    };
    let chain = DriverMdl::from_raw(mdl, 0, 13)?;
    assert_eq!(socket.send_to(&chain, to)?, 13);
    Ok(())
}

fn main() {
    let _ = program;
}
