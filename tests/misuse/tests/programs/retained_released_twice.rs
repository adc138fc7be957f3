//! A retained indication is given back to WSK twice.
//! Dropping it returns it to WSK, and takes it.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn done(retained: Retained) {
    drop(retained);
    drop(retained);
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) = done;
    Ok(())
}

fn main() {
    let _ = program;
}
