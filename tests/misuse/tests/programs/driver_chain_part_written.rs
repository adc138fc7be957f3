//! The header of a chain with a driver's MDLs is written while an operation sends from it.
//! Writing it borrows the chain exclusively, and the operation has borrowed the chain.

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
    let mut chain = DriverChain::new([ChainPart::Own(header), body]).map_err(|(error, _)| error)?;
    wsk::scope(|s| {
        let send = socket.send_to(&chain, to).start_in(s)?;
        let header = chain.own_mut(0);
        assert_eq!(header.map(|header| header.len()), Some(6));
        send.wait().map(drop)
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
