//! The bytes of a retained datagram are used after WSK has the datagram back.
//! They borrow from the result of `retain`, which returns the datagram to WSK when it is dropped.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};

fn checksum(retained: Retained) -> u32 {
    let datagrams = retained.datagrams();
    drop(retained);
    let sum = datagrams
        .flat_map(|datagram| datagram.pieces())
        .flatten()
        .map(|byte| u32::from(*byte))
        .sum();
    sum
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> u32 = checksum;
    Ok(())
}

fn main() {
    let _ = program;
}
