//! A buffer is freed before a request runs that sends it.
//! A request borrows a buffer that it gets by reference.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let request = socket.send_to(&buffer, to);
    drop(buffer);
    request.wait().map(drop)
}

fn main() {
    let _ = program;
}
