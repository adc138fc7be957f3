//! An address is given as text, which nobody has looked at.
//! An address is a `SocketAddr`, or one that was encoded before; text is parsed, or resolved.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let text = to.to_string();
    socket.send_to(b"report", text).wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
