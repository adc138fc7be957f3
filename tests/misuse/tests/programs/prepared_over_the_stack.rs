//! A sender is made over bytes on the stack, which may be gone when it sends.
//! It owns its bytes, in nonpaged pool.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7; 16];
    let mut sender = socket.send_to(&bytes, to).prepare()?;
    sender.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
