//! The right form of `prepared_sent_by_two_threads`.

use std::net::SocketAddr;
use wsk::operation::PreparedPool;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = PreparedPool::new(2, |_| Ok(socket.send_to(NonPagedBuffer::new(16)?, to)))?;
    let send = || senders.take_or_wait()?.wait();
    let (one, other) = on_two_threads(send, send);
    assert_eq!(one? + other?, 32);
    Ok(())
}
