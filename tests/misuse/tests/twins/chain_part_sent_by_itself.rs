//! The right form of `chain_part_sent_by_itself`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let header = NonPagedBuffer::copy_of(b"header")?;
    let body = NonPagedBuffer::copy_of(b"body")?;
    let chain = MdlChain::new([header, body]);
    socket.send_to(&chain, to).wait()?;
    let [header, _] = chain.into_parts();
    socket.send_to(&header, to).wait()?;
    Ok(())
}
