//! A function that sends is given what a pool of receivers has.
//! Senders and receivers are types of their own.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Sender};

fn report(mut sender: Sender) -> Result<(), Error> {
    sender.as_mut_slice().fill(1);
    sender.send().map(|_| ())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let receivers = socket.receivers(2, |_| NonPagedBuffer::new(16))?;
    let _ = to;
    report(receivers.take_or_wait()?)
}

fn main() {
    let _ = program;
}
