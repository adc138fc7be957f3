//! The right form of `prepared_written_in_flight`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sender = socket
        .send_to(NonPagedBuffer::copy_of(b"first")?, to)
        .prepare()?;
    let sending = sender.start()?;
    let ended = sending.wait().map_err(|(error, _)| error)?;
    ended.result()?;
    if let Some(mut sender) = ended.into_operation() {
        sender.as_mut_slice().fill(0);
    }
    Ok(())
}
