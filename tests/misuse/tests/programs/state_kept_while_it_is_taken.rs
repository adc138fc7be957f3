//! The state of a driver is used after it was lent: what `with` gives ends with the closure.
//! What `get` gives keeps the state from being taken for as long as it is there.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverState, Error};

static STATE: DriverState<[u8; 4]> = DriverState::new();

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let kept: Option<&[u8; 4]> = STATE.with(|state| state);
    drop(STATE.take()?);
    assert_eq!(kept, Some(b"kept"));
    Ok(())
}

fn main() {
    let _ = program;
}
