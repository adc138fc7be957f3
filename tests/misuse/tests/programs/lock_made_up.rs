//! A buffer says that an MDL chain needs no lock, without promising that it is valid.
//! That nothing unlocks or frees the memory is a promise, which `unsafe` makes.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Extent, Lock};

fn nothing() -> Lock<'static> {
    Lock::none(Extent::empty())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    assert!(nothing().extent().is_empty());
    Ok(())
}

fn main() {
    let _ = program;
}
