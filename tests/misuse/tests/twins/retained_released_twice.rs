//! The right form of `retained_released_twice`.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn done(retained: Retained) {
    drop(retained);
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) = done;
    Ok(())
}
