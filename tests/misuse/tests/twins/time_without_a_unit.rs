//! The right form of `time_without_a_unit`.

use std::net::SocketAddr;
use std::time::Duration;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let nothing = socket
        .receive_from(&mut room)
        .wait_timeout(Duration::from_millis(20));
    assert!(matches!(nothing, Err(Error::TimedOut { .. })));
    Ok(())
}
