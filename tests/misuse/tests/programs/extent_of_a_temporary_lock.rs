//! A driver's own buffer describes memory that is gone when `lock` returns.
//! The result of `lock` borrows from the buffer itself.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Greeting {
    name: &'static str,
}

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Greeting {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let bytes = NonPagedBuffer::copy_of(self.name.as_bytes())?;
        // SAFETY: the caller keeps the same contract.
        unsafe { bytes.lock(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let greeting = Greeting { name: "hello" };
    socket.send_to(&greeting, to).wait().map(drop)
}

fn main() {
    let _ = program;
}
