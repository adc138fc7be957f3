//! The right form of `prepared_taken_for_granted`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    let ended = sender.start()?.wait().map_err(|(error, _)| error)?;
    if let Some(mut sender) = ended.into_operation() {
        sender.wait()?;
    }
    Ok(())
}
