//! The handle of a scoped operation is used by another thread.
//! A scope's list of operations belongs to its thread: handles are not `Send`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::within_threads;

pub fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let send = s.send_to(socket, &buffer, to)?;
        within_threads(|| send.wait())
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
