//! The right form of `addresses_used_after_release`.

use std::net::SocketAddr;
use wsk::{Error, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let found = provider.resolve("127.0.0.1").wait()?;
    let mut addresses = found.iter();
    assert!(addresses.next().is_some());
    drop(found);
    Ok(())
}
