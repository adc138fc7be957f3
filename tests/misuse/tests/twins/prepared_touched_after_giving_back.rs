//! The right form of `prepared_touched_after_giving_back`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = socket.senders(2, to, |_| NonPagedBuffer::new(16))?;
    let mut sender = senders.take_or_wait()?;
    sender.as_mut_slice().fill(1);
    drop(sender);
    Ok(())
}
