//! The right form of `chain_receives_twice_into_one`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 40];
    let own = socket.local_address()?;
    socket.send_to(b"to myself", own).wait()?;
    let (header, body) = room.split_at_mut(4);
    let mut chain = SliceChain::new([header, body]);
    assert_eq!(socket.receive_from(&mut chain).wait()?.length(), 9);
    Ok(())
}
