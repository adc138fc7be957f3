//! The right form of `owned_buffer_not_send`.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

/// A buffer that several parts of a driver share.
struct Common(Arc<NonPagedBuffer>);

// SAFETY: the buffer inside, which does not move, keeps the promise.
unsafe impl SendBuffer for Common {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.lock(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = Arc::new(NonPagedBuffer::copy_of(b"report")?);
    drop(socket.send_to(Common(Arc::clone(&buffer)), to).start()?);
    Ok(())
}
