//! Bytes on the stack are lent to a future, which may be dropped or forgotten while the provider reads them.
//! An awaited operation owns its buffer, or borrows it for ever.

use std::future::IntoFuture;
use std::net::SocketAddr;
use wsk::{DatagramSocket, Error};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = *b"on the stack";
    drop(socket.send_to(&bytes, to).into_future());
    Ok(())
}

fn main() {
    let _ = program;
}
