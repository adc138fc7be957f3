//! Two threads send with one sender at the same time.
//! It has one IRP, so sending needs it exclusively; each thread takes one of its own from a pool.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::on_two_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut sender = socket.sender(NonPagedBuffer::new(16)?, to)?;
    let (one, other) = on_two_threads(|| sender.send(), || sender.send());
    assert_eq!(one? + other?, 32);
    Ok(())
}

fn main() {
    let _ = program;
}
