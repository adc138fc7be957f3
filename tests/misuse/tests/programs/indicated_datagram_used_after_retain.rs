//! A datagram is read through the indication after the indication was retained, when another thread may have released it.
//! Retaining needs an exclusive borrow of the indication, from which the datagram borrows.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Lengths(Sender<usize>);

impl ReceiveFromEvent for Lengths {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let first = indication.datagrams().next();
        let retained = indication.retain();
        drop(retained);
        let length = first.map_or(0, |datagram| datagram.len());
        match self.0.send(length) {
            Ok(()) => Verdict::Consumed,
            Err(_) => Verdict::NotAccepted,
        }
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let (sender, lengths) = channel();
    let socket = DatagramSocket::open_with_events(provider, Family::V4, Lengths(sender))?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    socket.enable_receive_events()?;
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    assert_eq!(lengths.recv().unwrap(), 9);
    Ok(())
}

fn main() {
    let _ = program;
}
