//! A driver expects the sender back from every send.
//! If the provider refused the send but kept the IRP, it may still read the bytes, and the sender does not come back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    let ended = sender.start()?.wait().map_err(|(error, _)| error)?;
    let mut sender = ended.into_operation();
    sender.wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
