//! A pool is made of what is tied to the thread that makes it.
//! What a pool holds has to be `Send`: a completion routine gives it back on another thread.

use std::net::SocketAddr;
use std::rc::Rc;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    BufferPool::new(2, |_| Ok(Rc::new(NonPagedBuffer::new(16)?))).map(drop)
}

fn main() {
    let _ = program;
}
