//! The right form of `driver_mdl_of_an_owner_without_unsafe`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverMdl, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    let owner = 7;
    // SAFETY: the MDL was built for nonpaged pool, and nothing else uses it while the chain exists.
    let chain = unsafe { DriverMdl::with_owner(Extent::new(mdl.first(), 0, 13)?, owner) };
    socket.send_to(&chain, to).wait()?;
    assert_eq!(chain.into_owner(), 7);
    Ok(())
}
