//! A driver sends its own MDL chain with its owner, without a promise that the chain is locked and stays so.
//! The constructor is `unsafe`: only the driver knows what else uses its MDLs.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverMdl, Error, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    let owner = 7;
    let chain = DriverMdl::with_owner(mdl.first(), 0, 13, owner).map_err(|(error, _)| error)?;
    socket.send_to(&chain, to).wait()?;
    assert_eq!(chain.into_owner(), 7);
    Ok(())
}

fn main() {
    let _ = program;
}
