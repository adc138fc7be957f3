//! Two threads read one retained indication at the same time, and both map its MDLs.
//! The result of `retain` may move to another thread, but cannot be shared: it is `Send` and not `Sync`.

use std::net::SocketAddr;
use wsk::events::Retained;
use wsk::{DatagramSocket, Error};
use wsk_misuse::within_threads;

fn length(retained: Retained) -> usize {
    within_threads(|| retained.datagrams().map(|datagram| datagram.len()).sum())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(Retained) -> usize = length;
    Ok(())
}

fn main() {
    let _ = program;
}
