//! A receive that nobody has to wait for writes to a buffer on the stack.
//! An operation that nobody has to wait for owns its buffer, or borrows it for ever: the borrow has to be `'static`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut room = [0; 64];
    let receive = socket.receive_from(&mut room).start()?;
    drop(receive);
    Ok(())
}

fn main() {
    let _ = program;
}
