//! Buffers that others may use at the same time are linked into a chain.
//! Linking MDLs writes them: a chain is made of buffers, not of references to them.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let header = NonPagedBuffer::copy_of(b"header")?;
    let body = NonPagedBuffer::copy_of(b"body")?;
    let chain = MdlChain::new([&header, &body]);
    socket.send_to(&chain, to).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
