//! A timeout is a plain number, of milliseconds or of C's units of 100 nanoseconds.
//! Times are `Duration`s.

use std::net::SocketAddr;
use std::time::Duration;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let _ = Duration::ZERO;
    let nothing = socket.receive_from(&mut room).wait_timeout(20);
    assert!(matches!(nothing, Err(Error::TimedOut { .. })));
    Ok(())
}

fn main() {
    let _ = program;
}
