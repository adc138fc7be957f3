//! The right form of `prepared_resolve`.

use std::net::SocketAddr;
use wsk::{Error, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    drop(provider.resolve("127.0.0.1").start());
    Ok(())
}
