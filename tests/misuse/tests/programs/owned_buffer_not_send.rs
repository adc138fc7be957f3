//! An operation gets a buffer that is tied to its thread. The completion routine may drop it on another thread.
//! The buffers of such operations have to be `Send`.

use std::net::SocketAddr;
use std::rc::Rc;
use wsk::{DatagramSocket, Error, Extent, Lock, NonPagedBuffer, SendBuffer};

/// A buffer that several parts of a driver share.
struct Common(Rc<NonPagedBuffer>);

// SAFETY: the buffer inside, which does not move, keeps the promise.
unsafe impl SendBuffer for Common {
    unsafe fn lock<'l>(&'l self, lock: &'l mut Lock) -> Result<&'l Extent, Error> {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.lock(lock) }
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = Rc::new(NonPagedBuffer::copy_of(b"report")?);
    drop(socket.send_to(Common(Rc::clone(&buffer)), to).start()?);
    Ok(())
}

fn main() {
    let _ = program;
}
