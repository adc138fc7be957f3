//! The right form of `extent_of_a_temporary_lock`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

struct Greeting {
    bytes: NonPagedBuffer,
}

// SAFETY: the promise of the buffer inside is passed on.
unsafe impl SendBuffer for Greeting {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.bytes.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"hello")?;
    let greeting = Greeting { bytes };
    socket.send_to(&greeting, to).map(drop)
}
