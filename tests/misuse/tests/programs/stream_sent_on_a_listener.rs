//! Bytes are sent over a listening socket.
//! A listening socket only accepts. It returns sockets of their own, which can send.

use std::net::SocketAddr;
use wsk::{Error, ListenSocket};

pub(crate) fn program(listener: &ListenSocket, _: SocketAddr) -> Result<(), Error> {
    assert_eq!(listener.send(b"welcome").wait()?, 7);
    Ok(())
}

fn main() {
    let _ = program;
}
