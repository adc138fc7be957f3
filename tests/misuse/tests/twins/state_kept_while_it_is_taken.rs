//! The right form of `state_kept_while_it_is_taken`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, DriverState, Error};

static STATE: DriverState<[u8; 4]> = DriverState::new();

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    assert!(STATE.put(*b"kept").is_ok());
    let kept = STATE.get();
    assert_eq!(kept.as_deref(), Some(b"kept"));
    drop(kept);
    let _ = STATE.take()?;
    Ok(())
}
