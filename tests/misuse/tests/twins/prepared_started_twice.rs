//! The right form of `prepared_started_twice`.

use std::net::SocketAddr;
use wsk::operation::PreparedPool;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = PreparedPool::new(2, |_| {
        Ok(socket.send_to(NonPagedBuffer::copy_of(b"report")?, to))
    })?;
    let first = senders.take_or_wait()?.start()?;
    let second = senders.take_or_wait()?.start()?;
    drop((first, second));
    Ok(())
}
