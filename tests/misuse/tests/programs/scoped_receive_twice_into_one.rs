//! Two receives are started into the same buffer: one datagram would overwrite the other.
//! Each receive borrows its buffer exclusively for the rest of the scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    wsk::scope(|s| {
        let first = socket.receive_from(&mut room).start_in(s)?;
        let second = socket.receive_from(&mut room).start_in(s)?;
        let here = socket.local_address()?;
        socket.send_to(b"one", here).wait()?;
        socket.send_to(b"two", here).wait()?;
        first.wait()?;
        second.wait()?;
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
