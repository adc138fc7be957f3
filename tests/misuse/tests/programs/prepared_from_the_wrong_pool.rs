//! A function that sends gets a value from a pool of receivers.
//! Senders and receivers have different types.

use std::net::SocketAddr;
use wsk::operation::{Prepared, PreparedPool};
use wsk::request::SendingTo;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

fn report(mut sender: Prepared<SendingTo, NonPagedBuffer>) -> Result<(), Error> {
    sender.as_mut_slice().fill(1);
    sender.wait().map(|_| ())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let receivers = PreparedPool::new(2, |_| Ok(socket.receive_from(NonPagedBuffer::new(16)?)))?;
    let _ = to;
    report(receivers.take_or_wait()?)
}

fn main() {
    let _ = program;
}
