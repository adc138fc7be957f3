//! The right form of `retained_datagram_shared`.

use std::net::SocketAddr;
use wsk::events::RetainedDatagram;
use wsk::{DatagramSocket, Error};
use wsk_misuse::on_another_thread;

fn length(retained: RetainedDatagram) -> usize {
    on_another_thread(move || retained.datagram().len())
}

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let _: fn(RetainedDatagram) -> usize = length;
    Ok(())
}
