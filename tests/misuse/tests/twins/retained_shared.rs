//! The right form of `retained_shared`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Retained};
use wsk_misuse::on_a_system_thread;

fn length(retained: Retained) -> usize {
    on_a_system_thread(move || retained.datagrams().map(|datagram| datagram.len()).sum())
}

pub fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> usize = length;
    Ok(())
}
