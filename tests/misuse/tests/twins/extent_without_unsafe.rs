//! The right form of `extent_without_unsafe`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::new(16)?;
    let mdl = DriversMdl::over(&buffer);
    // SAFETY: the MDL is built for nonpaged pool, and the buffer outlives the part.
    let part = unsafe { Extent::new(mdl.first(), 0, 16) }?;
    assert_eq!(part.len(), 16);
    Ok(())
}
