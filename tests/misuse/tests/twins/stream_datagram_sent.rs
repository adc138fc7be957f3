//! The right form of `stream_datagram_sent`.

use std::net::SocketAddr;
use wsk::{ConnectedSocket, Error};

pub(crate) fn program(socket: &ConnectedSocket, _: SocketAddr) -> Result<(), Error> {
    let to = socket.remote_address()?;
    assert_eq!(to.ip(), socket.local_address()?.ip());
    assert_eq!(socket.send(b"report").wait()?, 6);
    Ok(())
}
