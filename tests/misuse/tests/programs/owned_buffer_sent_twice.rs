//! A buffer is given to two operations at once.
//! Starting the first takes the buffer. To send it twice, share it for the time of a scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let first = socket.send_to(buffer, to).start()?;
    let second = socket.send_to(buffer, to).start()?;
    drop((first, second));
    Ok(())
}

fn main() {
    let _ = program;
}
