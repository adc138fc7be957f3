//! A datagram is received into constant bytes, which lie in read-only memory.
//! A receive needs an exclusive borrow, or owns its buffer.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

static ROOM: [u8; 64] = [0; 64];

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    drop(socket.receive_from(&ROOM).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
