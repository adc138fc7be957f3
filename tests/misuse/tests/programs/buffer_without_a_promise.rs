//! A driver makes its own type a buffer without a promise that the memory stays.
//! `SendBuffer` is an unsafe trait: implementing it is the promise.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

impl SendBuffer for Frame {
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

fn main() {
    let _ = program;
}
