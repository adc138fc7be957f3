//! The right form of `prepared_started_twice`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = socket.senders(2, to, |_| NonPagedBuffer::copy_of(b"report"))?;
    let first = senders.take_or_wait()?.start()?;
    let second = senders.take_or_wait()?.start()?;
    drop((first, second));
    Ok(())
}
