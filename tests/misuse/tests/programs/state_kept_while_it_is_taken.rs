//! The state of a driver is used after `with` has returned, which lends it to its closure only.
//! `get` returns a guard. While the guard lives, nobody can take the state.

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
