//! The right form of `locked_to_receive_and_read`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, ReceiveBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let lock = room.lock_mut()?;
    drop(lock);
    assert_eq!(room[0], 0);
    Ok(())
}
