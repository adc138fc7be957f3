//! The right form of `prepared_sent_by_two_threads`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = socket.senders(2, to, |_| NonPagedBuffer::new(16))?;
    let send = || senders.take_or_wait()?.send();
    let (one, other) = on_two_threads(send, send);
    assert_eq!(one? + other?, 32);
    Ok(())
}
