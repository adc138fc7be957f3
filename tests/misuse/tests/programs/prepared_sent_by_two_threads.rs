//! Two threads send with one sender at the same time.
//! It has one IRP, so sending borrows it exclusively. Each thread takes a sender of its own from a pool.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.send_to(NonPagedBuffer::new(16)?, to).prepare()?;
    let (one, other) = on_two_threads(|| sender.wait(), || sender.wait());
    assert_eq!(one? + other?, 32);
    Ok(())
}

fn main() {
    let _ = program;
}
