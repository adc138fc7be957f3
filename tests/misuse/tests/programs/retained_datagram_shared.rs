//! Two threads read one retained datagram at the same time, and both map its MDLs.
//! A retained datagram may move to another thread, but cannot be shared: it is `Send` and not `Sync`.

use std::net::SocketAddr;
use wsk::events::RetainedDatagram;
use wsk::{DatagramSocket, Error};
use wsk_misuse::within_threads;

fn length(retained: RetainedDatagram) -> usize {
    within_threads(|| retained.datagram().len())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(RetainedDatagram) -> usize = length;
    Ok(())
}

fn main() {
    let _ = program;
}
