//! A socket is closed while a scope has operations in flight on it.
//! The scope borrows the socket until it has ended, and closing takes the socket.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, to: SocketAddr) -> Result<(), Error> {
    let socket = DatagramSocket::open(provider, Family::V4)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    let buffer = NonPagedBuffer::copy_of(b"last words")?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, to).start_in(s)?;
        socket.close()?;
        send.wait()
    })??;
    Ok(())
}

fn main() {
    let _ = program;
}
