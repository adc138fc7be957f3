//! A sender is written after it went back to its pool, where another thread may have it.
//! Dropping a sender returns it to the pool.

use std::net::SocketAddr;
use wsk::operation::PreparedPool;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = PreparedPool::new(2, |_| Ok(socket.send_to(NonPagedBuffer::new(16)?, to)))?;
    let mut sender = senders.take_or_wait()?;
    drop(sender);
    sender.as_mut_slice().fill(1);
    Ok(())
}

fn main() {
    let _ = program;
}
