//! A buffer is sent by itself while its MDL is linked into a chain.
//! The chain takes the buffers for itself, because linking them writes their MDLs.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let header = NonPagedBuffer::copy_of(b"header")?;
    let body = NonPagedBuffer::copy_of(b"body")?;
    let chain = MdlChain::new([header, body]);
    socket.send_to(&chain, to).wait()?;
    socket.send_to(&header, to).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
