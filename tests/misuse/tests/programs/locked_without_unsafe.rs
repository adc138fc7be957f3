//! Safe code locks a buffer, and nobody has to unlock it before it is freed.
//! With `unsafe`, the driver promises to unlock the buffer first.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

impl Frame {
    fn describe<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.bytes.lock(lock)
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Frame {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.describe(lock)
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"report")?;
    assert_eq!(socket.send_to(&Frame { bytes }, to).wait()?, 6);
    Ok(())
}

fn main() {
    let _ = program;
}
