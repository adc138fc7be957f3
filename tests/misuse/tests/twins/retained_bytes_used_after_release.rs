//! The right form of `retained_bytes_used_after_release`.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn checksum(retained: Retained) -> u32 {
    let datagrams = retained.datagrams();
    let sum = datagrams
        .flat_map(|datagram| datagram.pieces())
        .flatten()
        .map(|byte| u32::from(*byte))
        .sum();
    drop(retained);
    sum
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> u32 = checksum;
    Ok(())
}
