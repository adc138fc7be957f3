//! A retained datagram is read through the list after it was given away, when another thread may have released it.
//! To take the list apart is to give it away, and the datagrams borrow from it.

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
