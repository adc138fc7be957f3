//! The right form of `chain_taken_apart`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let chain = MdlChain::new([NonPagedBuffer::copy_of(b"header")?]);
    wsk::scope(|s| {
        let send = socket.send_to(&chain, to).start_in(s)?;
        send.wait()
    })??;
    let [header] = chain.into_parts();
    assert_eq!(header.len(), 6);
    Ok(())
}
