//! A buffer is read before the wait for the datagram that is received into it.
//! The scope borrows the buffer exclusively; waiting gives it back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let first = wsk::scope(|s| {
        let receive = socket.receive_from(&mut room).start_in(s)?;
        socket
            .send_to(b"to myself", socket.local_address()?)
            .wait()?;
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
