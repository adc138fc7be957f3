//! The right form of `retained_shared`.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};
use wsk_misuse::on_another_thread;

fn length(retained: Retained) -> usize {
    on_another_thread(move || retained.datagrams().map(|datagram| datagram.len()).sum())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> usize = length;
    Ok(())
}
