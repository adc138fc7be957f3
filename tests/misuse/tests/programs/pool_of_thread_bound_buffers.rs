//! A pool is made of values that are tied to one thread.
//! The values of a pool have to be `Send`: a completion routine returns them on another thread.

use std::net::SocketAddr;
use std::rc::Rc;
use wsk::{BufferPool, DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    BufferPool::new(2, |_| Ok(Rc::new(NonPagedBuffer::new(16)?))).map(drop)
}

fn main() {
    let _ = program;
}
