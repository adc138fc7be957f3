//! The right form of `retained_read_after_taken_apart`.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn length(retained: Retained) -> usize {
    let taken = retained.into_datagrams().next();
    taken.map_or(0, |taken| taken.datagram().len())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> usize = length;
    Ok(())
}
