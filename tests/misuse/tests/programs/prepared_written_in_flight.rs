//! The bytes of a sender are written while its datagram is being sent.
//! Starting takes the sender, which comes back with the result.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket
        .send_to(NonPagedBuffer::copy_of(b"first")?, to)
        .prepare()?;
    let sending = sender.start()?;
    sender.as_mut_slice().fill(0);
    sending.wait().map_err(|(error, _)| error)?.result()?;
    Ok(())
}

fn main() {
    let _ = program;
}
