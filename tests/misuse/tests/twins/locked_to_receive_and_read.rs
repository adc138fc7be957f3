//! The right form of `locked_to_receive_and_read`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, ReceiveBuffer};

struct Room {
    bytes: NonPagedBuffer,
    first: Option<u8>,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl ReceiveBuffer for Room {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        self.first = self.bytes.as_slice().first().copied();
        // SAFETY: the caller keeps the same contract.
        unsafe { self.bytes.lock_mut(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    let (bytes, first) = (NonPagedBuffer::new(16)?, None);
    socket.receive_from(&mut Room { bytes, first }).wait()?;
    Ok(())
}
