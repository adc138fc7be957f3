//! The right form of `extent_of_a_temporary_lock`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Greeting {
    bytes: NonPagedBuffer,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Greeting {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"hello")?;
    let greeting = Greeting { bytes };
    socket.send_to(&greeting, to).wait().map(drop)
}
