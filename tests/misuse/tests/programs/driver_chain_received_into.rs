//! A receive gets MDLs that a driver made for sending. It would write memory that is locked for reading.
//! A chain can receive if its parts are `DriverMdlMut`.

use std::net::SocketAddr;
use wsk::{ChainPart, DatagramSocket, DriverChain, DriverMdl, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    // SAFETY: the MDL was built for nonpaged pool, and nothing else uses it while the chain exists.
    let body = unsafe { DriverMdl::with_owner(Extent::new(mdl.first(), 0, 13)?, ()) };
    let body = ChainPart::Driver(body);
    let header = NonPagedBuffer::copy_of(b"header")?;
    let chain = DriverChain::new([ChainPart::Own(header), body]).map_err(|(error, _)| error)?;
    let _ = (socket.receive_from(chain), to);
    Ok(())
}

fn main() {
    let _ = program;
}
