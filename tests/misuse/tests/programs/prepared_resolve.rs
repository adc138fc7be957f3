//! A lookup is prepared, to run again and again.
//! Each lookup allocates its result.

use std::net::SocketAddr;
use wsk::{Error, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    drop(provider.resolve("127.0.0.1").prepare());
    Ok(())
}

fn main() {
    let _ = program;
}
