//! The right form of `prepared_from_the_wrong_pool`.

use std::net::SocketAddr;
use wsk::operation::{Prepared, PreparedPool};
use wsk::request::SendingTo;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

fn report(mut sender: Prepared<SendingTo, NonPagedBuffer>) -> Result<(), Error> {
    sender.as_mut_slice().fill(1);
    sender.wait().map(|_| ())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = PreparedPool::new(2, |_| Ok(socket.send_to(NonPagedBuffer::new(16)?, to)))?;
    report(senders.take_or_wait()?)
}
