//! The right form of `scope_to_another_thread`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};
use wsk_misuse::within_threads;

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    within_threads(|| wsk::scope(|s| socket.send_to(&buffer, to).start_in(s)?.wait())?)?;
    Ok(())
}
