//! A buffer is read while it is locked for writing by a provider.
//! Its description borrows the buffer exclusively.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, ReceiveBuffer};

struct Room {
    bytes: NonPagedBuffer,
    first: Option<u8>,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl ReceiveBuffer for Room {
    unsafe fn lock_mut<'l>(&'l mut self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        let extent = unsafe { self.bytes.lock_mut(lock) };
        self.first = self.bytes.as_slice().first().copied();
        extent
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

fn main() {
    let _ = program;
}
