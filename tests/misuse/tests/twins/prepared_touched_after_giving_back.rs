//! The right form of `prepared_touched_after_giving_back`.

use std::net::SocketAddr;
use wsk::operation::PreparedPool;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = PreparedPool::new(2, |_| Ok(socket.send_to(NonPagedBuffer::new(16)?, to)))?;
    let mut sender = senders.take_or_wait()?;
    sender.as_mut_slice().fill(1);
    drop(sender);
    Ok(())
}
