//! A registration is made and let go of in the same line, and so is a state that finds no room.
//! The compiler warns of both: a registration that is not kept is deregistered at once.

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
