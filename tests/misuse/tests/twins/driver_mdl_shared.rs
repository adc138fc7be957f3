//! The right form of `driver_mdl_shared`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverMdl, Error, Extent, NonPagedBuffer};
use wsk_misuse::DriversMdl;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&buffer);
    // SAFETY: the MDL is built for nonpaged pool. The buffer outlives all values that are made of it, and does not change.
    let chain = unsafe { DriverMdl::from_raw(Extent::new(mdl.first(), 0, 13)?) }?;
    let sent = wsk::scope(|s| {
        let send = || socket.send_to(&chain, to).start_in(s);
        let (one, other) = (send()?, send()?);
        Ok::<_, Error>(one.wait()?.0 + other.wait()?.0)
    })??;
    assert_eq!(sent, 26);
    Ok(())
}
