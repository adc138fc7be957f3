//! The right form of `state_ignored`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverState, Error, Registration};

static STATE: DriverState<Registration> = DriverState::new();

#[deny(unused_must_use)]
pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let registration = Registration::new()?;
    assert!(STATE.put(registration).is_ok());
    assert!(STATE.get().is_some());
    drop(STATE.take()?);
    Ok(())
}
