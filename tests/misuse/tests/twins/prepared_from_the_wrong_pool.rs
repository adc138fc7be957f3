//! The right form of `prepared_from_the_wrong_pool`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Sender};

fn report(mut sender: Sender) -> Result<(), Error> {
    sender.as_mut_slice().fill(1);
    sender.send().map(|_| ())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let senders = socket.senders(2, to, |_| NonPagedBuffer::new(16))?;
    report(senders.take_or_wait()?)
}
