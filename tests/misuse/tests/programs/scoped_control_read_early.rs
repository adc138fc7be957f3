//! Control information is read before the wait for its datagram.
//! The scope borrows it exclusively together with the buffer; waiting gives both back.

use std::net::SocketAddr;
use wsk::{Control, DatagramSocket, Error, WithControl};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = WithControl::new([0_u8; 64], Control::<64>::new());
    wsk::scope(|s| {
        let receive = socket.receive_from(&mut room).start_in(s)?;
        socket
            .send_to(b"to myself", socket.local_address()?)
            .wait()?;
        let messages = room.control.messages().count();
        receive.wait()?;
        assert!(messages < 8);
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
