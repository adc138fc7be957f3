//! The right form of `scoped_received_bytes_escape`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let received = wsk::scope(|s| {
        let receive = s.receive_from(socket, &mut room)?;
        socket.send_to(b"to myself", socket.local_address()?)?;
        receive.wait().map(|(received, _)| received)
    })??;
    assert_eq!(&room[..received.length], b"to myself");
    Ok(())
}
