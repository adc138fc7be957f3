//! Another thread starts operations in a scope.
//! A scope's list of operations belongs to its thread: a scope is not `Sync`. Give each thread a scope of its own.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::within_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        within_threads(|| socket.send_to(&buffer, to).start_in(s)?.wait());
    })
}

fn main() {
    let _ = program;
}
