//! One slice is in a chain twice: a datagram would overwrite itself.
//! The chain borrows each slice exclusively, once.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 40];
    let own = socket.local_address()?;
    socket.send_to(b"to myself", own).wait()?;
    let mut chain = SliceChain::new([&mut room[..4], &mut room[..]]);
    assert_eq!(socket.receive_from(&mut chain).wait()?.length(), 9);
    Ok(())
}

fn main() {
    let _ = program;
}
