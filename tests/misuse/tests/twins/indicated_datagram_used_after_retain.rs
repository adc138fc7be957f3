//! The right form of `indicated_datagram_used_after_retain`.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Lengths(Sender<usize>);

impl ReceiveFromEvent for Lengths {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let retained = indication.retain();
        let first = retained.as_ref().and_then(|r| r.datagrams().next());
        let length = first.map_or(0, |datagram| datagram.len());
        drop(retained);
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
