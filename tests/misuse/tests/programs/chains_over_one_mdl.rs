//! Two chains are made over one MDL, which has one `Next`.
//! The first chain has taken the buffer for itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let header = NonPagedBuffer::copy_of(b"header")?;
    let body = NonPagedBuffer::copy_of(b"body")?;
    let whole = MdlChain::new([header, body]);
    socket.send_to(&whole, to).wait()?;
    let other = NonPagedBuffer::copy_of(b"other body")?;
    let chain = MdlChain::new([header, other]);
    socket.send_to(&chain, to).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
