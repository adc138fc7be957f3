//! Addresses of a name are read after they were given back.
//! They are borrowed from what was found.

use std::net::SocketAddr;
use wsk::{Error, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let found = provider.resolve("127.0.0.1").wait()?;
    let mut addresses = found.iter();
    drop(found);
    assert!(addresses.next().is_some());
    Ok(())
}

fn main() {
    let _ = program;
}
