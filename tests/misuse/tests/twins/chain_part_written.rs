//! The right form of `chain_part_written`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut chain = MdlChain::new([NonPagedBuffer::copy_of(b"header")?]);
    wsk::scope(|s| {
        let send = socket.send_to(&chain, to).start_in(s)?;
        send.wait()
    })??;
    chain.part_mut(0).unwrap_or_default().fill(0);
    Ok(())
}
