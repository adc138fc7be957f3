//! The right form of `chain_of_the_stack_started`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let (header, body) = ([1; 4], [2; 40]);
    let chain = SliceChain::new([&header[..], &body]);
    assert_eq!(socket.send_to(&chain, to).wait()?, 44);
    Ok(())
}
