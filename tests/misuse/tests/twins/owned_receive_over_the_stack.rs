//! The right form of `owned_receive_over_the_stack`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let room = [0_u8; 64];
    let receive = socket.receive_from(room).start()?;
    drop(receive);
    Ok(())
}
