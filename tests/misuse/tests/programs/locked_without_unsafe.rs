//! A buffer is locked by safe code, and nobody has to unlock it before it is freed.
//! To lock is to promise that it is unlocked first, which `unsafe` makes.

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

// SAFETY: the promise of the buffer inside is passed on.
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
