//! A retained datagram is read through the list after the list was taken apart, when another thread may have released it.
//! Taking the list apart takes the list, and the datagrams borrow from it.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn length(retained: Retained) -> usize {
    let first = retained.datagrams().next();
    let taken = retained.into_datagrams().next();
    drop(taken);
    first.map_or(0, |datagram| datagram.len())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> usize = length;
    Ok(())
}

fn main() {
    let _ = program;
}
