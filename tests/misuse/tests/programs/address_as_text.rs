//! A request gets its address as text, which nobody has parsed.
//! An address is a `SocketAddr` or an encoded address. The driver parses text first, or resolves it.

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
