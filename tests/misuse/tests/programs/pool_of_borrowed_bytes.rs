//! A pool has parts of an array on the stack, which its operations use when the function has returned.
//! The values of a pool have to be `'static`.

use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = [7; 16];
    let pool = BufferPool::new(1, |_| Ok(&bytes))?;
    drop(socket.send_to(pool.take_or_wait()?, to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
