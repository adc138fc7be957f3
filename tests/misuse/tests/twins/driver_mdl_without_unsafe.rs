//! The right form of `driver_mdl_without_unsafe`.

use std::net::SocketAddr;
use std::ptr::NonNull;
use wsk::{DatagramSocket, DriverMdl, Error, NonPagedBuffer, SendBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"of the driver")?;
    let lock = buffer.lock()?;
    let Some(mdl) = NonNull::new(lock.extent().as_wsk_buf().Mdl) else {
        return Err(Error::NoMessages);
    };
    // SAFETY: the MDL is built for nonpaged pool; the buffer outlives what is made of it, and stays as it is.
    let chain = unsafe { DriverMdl::from_raw(mdl, 0, 13) }?;
    assert_eq!(socket.send_to(&chain, to)?, 13);
    Ok(())
}
