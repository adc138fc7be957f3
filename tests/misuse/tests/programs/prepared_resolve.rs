//! A lookup is prepared, to be done again and again.
//! What is found is allocated by each.

use std::net::SocketAddr;
use wsk::{Error, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    drop(provider.resolve("127.0.0.1").prepare());
    Ok(())
}

fn main() {
    let _ = program;
}
