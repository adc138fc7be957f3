//! A chain is taken apart, which writes its MDLs, while the provider sends it.
//! The scope borrows the chain until it has ended.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, MdlChain, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let chain = MdlChain::new([NonPagedBuffer::copy_of(b"header")?]);
    wsk::scope(|s| {
        let send = socket.send_to(&chain, to).start_in(s)?;
        let [header] = chain.into_parts();
        assert_eq!(header.len(), 6);
        send.wait()
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
