//! A driver sends its own MDL chain with its owner, without a promise that the chain is locked and stays so.
//! The constructor is `unsafe`: only the driver knows what else uses its MDLs.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverMdl, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    let owner = 7;
    // SAFETY: the MDL was built for nonpaged pool, and stays as long as the extent is used.
    let extent = unsafe { Extent::new(mdl.first(), 0, 13) }?;
    let chain = DriverMdl::with_owner(extent, owner);
    socket.send_to(&chain, to).wait()?;
    assert_eq!(chain.into_owner(), 7);
    Ok(())
}

fn main() {
    let _ = program;
}
