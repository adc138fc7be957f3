//! The right form of `chain_of_borrowed_buffers`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let header = NonPagedBuffer::copy_of(b"header")?;
    let body = NonPagedBuffer::copy_of(b"body")?;
    let chain = MdlChain::new([header, body]);
    socket.send_to(&chain, to).wait()?;
    Ok(())
}
