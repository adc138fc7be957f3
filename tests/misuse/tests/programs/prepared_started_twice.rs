//! A sender is started again before it has come back.
//! It has one IRP, which is in flight; starting takes the sender.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let sender = socket
        .send_to(NonPagedBuffer::copy_of(b"report")?, to)
        .prepare()?;
    let first = sender.start()?;
    let second = sender.start()?;
    drop((first, second));
    Ok(())
}

fn main() {
    let _ = program;
}
