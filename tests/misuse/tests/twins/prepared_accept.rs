//! The right form of `prepared_accept`.

use std::net::SocketAddr;
use wsk::{Error, ListenSocket};

pub(crate) fn program(listener: &ListenSocket, _: SocketAddr) -> Result<(), Error> {
    drop(listener.accept().start());
    Ok(())
}
