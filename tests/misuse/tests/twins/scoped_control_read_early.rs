//! The right form of `scoped_control_read_early`.

use std::net::SocketAddr;
use wsk::{Control, DatagramSocket, Error, WithControl};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = WithControl::new([0_u8; 64], Control::<64>::new());
    wsk::scope(|s| {
        let receive = socket.receive_from(&mut room).start_in(s)?;
        socket
            .send_to(b"to myself", socket.local_address()?)
            .wait()?;
        let (_, room) = receive.wait()?;
        let messages = room.control.messages().count();
        assert!(messages < 8);
        Ok(())
    })?
}
