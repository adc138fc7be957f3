//! The buffer that a scoped receive returns is used together with the original buffer.
//! The receive returns the exclusive borrow, which lasts as long as it is used.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let (received, bytes) = wsk::scope(|s| {
        let receive = socket.receive_from(&mut room).start_in(s)?;
        socket
            .send_to(b"to myself", socket.local_address()?)
            .wait()?;
        receive.wait()
    })??;
    assert_eq!(room[0], b't');
    assert_eq!(&bytes[..received.length()], b"to myself");
    Ok(())
}

fn main() {
    let _ = program;
}
