//! The right form of `buffer_without_a_promise`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Frame {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"framed")?;
    drop(socket.send_to(Frame { bytes }, to).start()?);
    Ok(())
}
