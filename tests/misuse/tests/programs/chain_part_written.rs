//! A part of a chain is written while the provider sends the chain.
//! The scope borrows the chain and all of its parts until it has ended.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut chain = MdlChain::new([NonPagedBuffer::copy_of(b"header")?]);
    wsk::scope(|s| {
        let send = socket.send_to(&chain, to).start_in(s)?;
        chain.part_mut(0).unwrap_or_default().fill(0);
        send.wait()
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
