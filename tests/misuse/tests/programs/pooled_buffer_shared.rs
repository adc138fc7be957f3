//! Two threads share a pooled value of a type that only one thread at a time may use.
//! A pooled buffer is only as `Sync` as the buffer.

use std::cell::Cell;
use std::net::SocketAddr;
use wsk::{BufferPool, DatagramSocket, Error};
use wsk_misuse::within_threads;

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok(Cell::new(0_u32)))?;
    let uses = pool.take_or_wait()?;
    within_threads(|| uses.set(uses.get() + 1));
    Ok(())
}

fn main() {
    let _ = program;
}
