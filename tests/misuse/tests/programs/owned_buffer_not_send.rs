//! A buffer that is tied to its thread is given to an operation, whose completion routine may drop it on another one.
//! Buffers of such operations have to be `Send`.

use std::net::SocketAddr;
use std::rc::Rc;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

/// A buffer that several parts of a driver share.
struct Common(Rc<NonPagedBuffer>);

// SAFETY: the promise of the buffer inside, which stays where it is, is passed on.
unsafe impl SendBuffer for Common {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.0.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = Rc::new(NonPagedBuffer::copy_of(b"report")?);
    drop(socket.start_send_to(Common(Rc::clone(&buffer)), to)?);
    Ok(())
}

fn main() {
    let _ = program;
}
