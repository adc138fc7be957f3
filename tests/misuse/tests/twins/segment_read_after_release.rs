//! The right form of `segment_read_after_release`.

use std::net::SocketAddr;
use wsk::events::RetainedDatagram;
use wsk::{DatagramSocket, Error};

fn length(retained: RetainedDatagram) -> usize {
    let mut segments = retained.datagram().segments();
    let length = segments.next().map_or(0, |segment| segment.len());
    drop(retained);
    length
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(RetainedDatagram) -> usize = length;
    Ok(())
}
