//! The right form of `locked_without_unsafe`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

impl Frame {
    /// # Safety
    ///
    /// As for [`SendBuffer::lock`].
    unsafe fn describe<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Frame {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.describe(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"report")?;
    assert_eq!(socket.send_to(&Frame { bytes }, to).wait()?, 6);
    Ok(())
}
