//! The right form of `buffer_without_a_promise`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

// SAFETY: the promise of the buffer inside is passed on.
unsafe impl SendBuffer for Frame {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.bytes.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"framed")?;
    drop(socket.start_send_to(Frame { bytes }, to)?);
    Ok(())
}
