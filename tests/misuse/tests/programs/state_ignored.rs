//! The results of a registration, of `put` and of `get` are ignored.
//! The compiler warns of each: a registration that nobody keeps is deregistered at once.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverState, Error, Registration};

static STATE: DriverState<u8> = DriverState::new();

#[deny(unused_must_use)]
pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    Registration::new()?;
    STATE.put(1);
    STATE.get();
    Ok(())
}

fn main() {
    let _ = program;
}
