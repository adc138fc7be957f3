//! The right form of `pooled_buffer_shared`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use wsk::{BufferPool, DatagramSocket, Error};
use wsk_misuse::within_threads;

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok(AtomicU32::new(0)))?;
    let uses = pool.take_or_wait()?;
    within_threads(|| uses.fetch_add(1, Ordering::Relaxed));
    Ok(())
}
