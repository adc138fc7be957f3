//! A pooled buffer is given back to its pool, from which others take it, while it is being sent.
//! The scope borrows the buffer until it has ended, so it cannot go back.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Pool};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let pool = Pool::new(1, |_| NonPagedBuffer::new(16))?;
    let buffer = pool.take_or_wait()?;
    wsk::scope(|s| {
        let send = s.send_to(socket, &buffer, to)?;
        drop(buffer);
        send.wait()
    })??;
    assert!(pool.take().is_some());
    Ok(())
}

fn main() {
    let _ = program;
}
