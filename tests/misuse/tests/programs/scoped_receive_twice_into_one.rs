//! Two receives are started into the same buffer: both datagrams would be written over each other.
//! Each receive borrows its buffer exclusively for the rest of the scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    wsk::scope(|s| {
        let first = s.receive_from(socket, &mut room)?;
        let second = s.receive_from(socket, &mut room)?;
        let here = socket.local_address()?;
        socket.send_to(b"one", here)?;
        socket.send_to(b"two", here)?;
        first.wait()?;
        second.wait()?;
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
