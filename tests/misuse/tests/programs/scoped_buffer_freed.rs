//! A buffer is freed while the provider sends from it.
//! The scope borrows the buffer until it has ended, so nothing in it can give the buffer away.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let sent = wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        drop(buffer);
        send.wait().map(|(sent, _)| sent)
    })??;
    assert_eq!(sent, 6);
    Ok(())
}

fn main() {
    let _ = program;
}
