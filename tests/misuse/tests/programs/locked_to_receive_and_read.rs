//! A buffer is read while it is locked for a provider to write to.
//! The lock borrows the buffer exclusively.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, ReceiveBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let lock = room.lock_mut()?;
    assert_eq!(room[0], 0);
    drop(lock);
    Ok(())
}

fn main() {
    let _ = program;
}
