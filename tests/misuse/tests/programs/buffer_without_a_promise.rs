//! A type of one's own is made a buffer without promising that its memory stays.
//! `SendBuffer` is an unsafe trait: implementing it is the promise.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Lock, NonPagedBuffer, SendBuffer};

struct Frame {
    bytes: NonPagedBuffer,
}

impl SendBuffer for Frame {
    fn lock(&self) -> Result<Lock<'_>, Error> {
        self.bytes.lock()
    }
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"framed")?;
    drop(socket.start_send_to(Frame { bytes }, to)?);
    Ok(())
}

fn main() {
    let _ = program;
}
