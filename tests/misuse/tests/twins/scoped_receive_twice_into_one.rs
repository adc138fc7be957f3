//! The right form of `scoped_receive_twice_into_one`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let mut more = [0; 64];
    wsk::scope(|s| {
        let first = s.receive_from(socket, &mut room)?;
        let second = s.receive_from(socket, &mut more)?;
        let here = socket.local_address()?;
        socket.send_to(b"one", here)?;
        socket.send_to(b"two", here)?;
        first.wait()?;
        second.wait()?;
        Ok(())
    })?
}
