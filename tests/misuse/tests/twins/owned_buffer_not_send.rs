//! The right form of `owned_buffer_not_send`.

use std::net::SocketAddr;
use std::sync::Arc;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

/// A buffer that several parts of a driver share.
struct Common(Arc<NonPagedBuffer>);

// SAFETY: the promise of the buffer inside, which stays where it is, is passed on.
unsafe impl SendBuffer for Common {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.0.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = Arc::new(NonPagedBuffer::copy_of(b"report")?);
    drop(socket.start_send_to(Common(Arc::clone(&buffer)), to)?);
    Ok(())
}
