//! The right form of `pool_of_thread_bound_buffers`.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    BufferPool::new(2, |_| Ok(Arc::new(NonPagedBuffer::new(16)?))).map(drop)
}
