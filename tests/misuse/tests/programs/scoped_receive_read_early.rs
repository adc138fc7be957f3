//! A buffer is read before the datagram that is received into it was waited for.
//! The scope borrows the buffer exclusively; waiting gives it back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let first = wsk::scope(|s| {
        let receive = s.receive_from(socket, &mut room)?;
        socket.send_to(b"to myself", socket.local_address()?)?;
        let first = room[0];
        receive.wait()?;
        Ok::<_, Error>(first)
    })??;
    assert_eq!(first, b't');
    Ok(())
}

fn main() {
    let _ = program;
}
