//! The right form of `chain_of_shared_received_into`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (mut header, mut body) = ([0; 4], [0; 40]);
    let own = socket.local_address()?;
    socket.send_to(b"to myself", own).wait()?;
    let mut chain = SliceChain::new([&mut header[..], &mut body]);
    let received = socket.receive_from(&mut chain).wait()?;
    assert_eq!(received.length(), 9);
    Ok(())
}
