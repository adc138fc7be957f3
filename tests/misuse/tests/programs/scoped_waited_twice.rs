//! An operation is waited for twice.
//! Waiting takes the handle.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        send.wait()?;
        let (length, _) = send.wait()?;
        assert_eq!(length, 6);
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
