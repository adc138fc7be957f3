//! A sender is used after a send as if it always came back.
//! It does not when the provider has refused the send and kept its IRP: then it may still be reading the bytes.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sender = socket.sender(NonPagedBuffer::new(16)?, to)?;
    let ended = sender.start()?.wait().map_err(|(error, _)| error)?;
    let mut sender = ended.into_operation();
    sender.send()?;
    Ok(())
}

fn main() {
    let _ = program;
}
