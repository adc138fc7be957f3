//! The addresses of a name are read after the provider has freed them.
//! They borrow from the result of the lookup.

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
