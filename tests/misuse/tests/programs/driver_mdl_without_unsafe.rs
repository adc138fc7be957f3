//! A driver's own MDL is made a buffer without a promise about it.
//! With `unsafe`, the driver promises that the chain is locked, and does not change until it is dropped.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverMdl, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&buffer);
    // SAFETY: the MDL was built for nonpaged pool, and stays as long as the extent is used.
    let extent = unsafe { Extent::new(mdl.first(), 0, 13) }?;
    let chain = DriverMdl::from_raw(extent)?;
    assert_eq!(socket.send_to(&chain, to).wait()?, 13);
    Ok(())
}

fn main() {
    let _ = program;
}
