//! The buffer that a scoped receive gives back is carried out of the scope.
//! It comes back for the rest of the scope only; behind the scope the buffer itself can be used again.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let (received, room) = wsk::scope(|s| {
        let receive = s.receive_from(socket, &mut room)?;
        socket.send_to(b"to myself", socket.local_address()?)?;
        receive.wait()
    })??;
    assert_eq!(&room[..received.length], b"to myself");
    Ok(())
}

fn main() {
    let _ = program;
}
