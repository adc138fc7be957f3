//! A request is run twice.
//! A finisher takes the request. Prepare a request to run it again and again.

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
