//! A buffer of one's own gives away a lock of something that is gone when `lock` returns.
//! What `lock` gives borrows from the buffer itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

struct Greeting {
    name: &'static str,
}

// SAFETY: the promise of the buffer inside is passed on.
unsafe impl SendBuffer for Greeting {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        let bytes = NonPagedBuffer::copy_of(self.name.as_bytes())?;
        bytes.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let greeting = Greeting { name: "hello" };
    socket.send_to(&greeting, to).map(drop)
}

fn main() {
    let _ = program;
}
