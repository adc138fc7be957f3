//! A handle is carried out of its scope, to wait for an operation that is long gone.
//! Handles have the lifetime of their scope, which no variable outside of it can have.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let mut later = None;
    wsk::scope(|s| {
        later = Some(socket.send_to(&buffer, to).start_in(s)?);
        Ok::<_, Error>(())
    })??;
    later.map_or(Ok(0), |send| send.wait().map(|(sent, _)| sent))?;
    Ok(())
}

fn main() {
    let _ = program;
}
