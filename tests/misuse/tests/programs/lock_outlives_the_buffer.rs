//! A buffer is freed while its MDL is in use.
//! The description of the buffer, which gives its MDL, borrows the buffer.

use std::net::SocketAddr;
use std::sync::Mutex;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

struct Outbox(Mutex<Option<NonPagedBuffer>>, NonPagedBuffer);

// SAFETY: the buffer inside keeps the promise.
unsafe impl SendBuffer for Outbox {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        let next = self.0.lock().unwrap().take().ok_or(Error::NoMessages)?;
        // SAFETY: the caller keeps the same contract.
        let extent = unsafe { next.lock(lock) }?;
        drop(next);
        Ok(extent)
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let next = Mutex::new(Some(NonPagedBuffer::copy_of(b"next")?));
    let outbox = Outbox(next, NonPagedBuffer::copy_of(b"report")?);
    socket.send_to(&outbox, to).wait().map(drop)
}

fn main() {
    let _ = program;
}
