//! Several operations share an MDL that may have to be mapped by each of them.
//! `DriverMdlMut` is for one operation at a time; `DriverMdl`, which is mapped when it is made, can be shared.

use std::net::SocketAddr;
use std::ptr::NonNull;
use wsk::{DatagramSocket, DriverMdlMut, Error, NonPagedBuffer, SendBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"of the driver")?;
    let lock = buffer.lock()?;
    let Some(mdl) = NonNull::new(lock.extent().as_wsk_buf().Mdl) else {
        return Err(Error::NoMessages);
    };
    // SAFETY: the MDL is built for nonpaged pool; the buffer outlives what is made of it, and stays as it is.
    let chain = unsafe { DriverMdlMut::from_raw(mdl, 0, 13) }?;
    let sent = wsk::scope(|s| {
        let one = s.send_to(socket, &chain, to)?;
        let other = s.send_to(socket, &chain, to)?;
        Ok::<_, Error>(one.wait()? + other.wait()?)
    })??;
    assert_eq!(sent, 26);
    Ok(())
}

fn main() {
    let _ = program;
}
