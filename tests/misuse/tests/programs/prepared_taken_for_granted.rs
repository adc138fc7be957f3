//! A sender is used after a send as if it always came back.
//! It does not when the provider has refused the send and kept its IRP: then it may still be reading the bytes.

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
