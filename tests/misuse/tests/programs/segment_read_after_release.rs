//! A segment of a retained datagram is read after WSK has the datagram back.
//! The segments borrow from the datagram, and the datagram from the retained indication.

use std::net::SocketAddr;
use wsk::events::RetainedDatagram;
use wsk::{DatagramSocket, Error};

fn length(retained: RetainedDatagram) -> usize {
    let mut segments = retained.datagram().segments();
    drop(retained);
    segments.next().map_or(0, |segment| segment.len())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(RetainedDatagram) -> usize = length;
    Ok(())
}

fn main() {
    let _ = program;
}
