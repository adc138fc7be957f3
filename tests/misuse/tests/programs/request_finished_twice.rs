//! A request is run twice.
//! A finisher takes the request; what is to be run again and again is prepared.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let request = socket.send_to(&buffer, to);
    request.wait()?;
    request.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
