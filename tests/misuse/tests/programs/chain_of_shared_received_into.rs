//! A datagram is received into a chain of slices that others may read.
//! A receive borrows its buffer exclusively: a chain of `&mut` slices.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, SliceChain};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let (mut header, mut body) = ([0; 4], [0; 40]);
    let own = socket.local_address()?;
    socket.send_to(b"to myself", own).wait()?;
    let mut chain = SliceChain::new([&header[..], &body]);
    let received = socket.receive_from(&mut chain).wait()?;
    assert_eq!(received.length(), 9);
    Ok(())
}

fn main() {
    let _ = program;
}
