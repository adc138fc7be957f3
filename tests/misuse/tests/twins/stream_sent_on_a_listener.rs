//! The right form of `stream_sent_on_a_listener`.

use std::net::SocketAddr;
use wsk::{Error, ListenSocket};

pub(crate) fn program(listener: &ListenSocket, _: SocketAddr) -> Result<(), Error> {
    let (socket, _) = listener.accept().wait()?;
    assert_eq!(socket.send(b"welcome").wait()?, 7);
    Ok(())
}
