//! A buffer is made inside the scope and freed when its body returns, with the send perhaps still in flight.
//! What is sent has to live as long as the scope, which ends after its body.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    wsk::scope(|s| {
        let buffer = NonPagedBuffer::copy_of(b"report")?;
        let _in_flight = socket.send_to(&buffer, to).start_in(s)?;
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
