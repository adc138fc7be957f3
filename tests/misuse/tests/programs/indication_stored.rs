//! A handler stores the indication, which belongs to WSK again when the callback has returned.
//! The indication is lent for the callback; what may be stored is what `retain` gives.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::{DatagramSocket, Error, Family, Indication, Provider, ReceiveFromEvent, Verdict};

struct Keeper(Sender<Indication<'static>>);

impl ReceiveFromEvent for Keeper {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        match self.0.send(*indication) {
            Ok(()) => Verdict::Consumed,
            Err(_) => Verdict::NotAccepted,
        }
    }
}

pub fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let (sender, indications) = channel();
    let socket = DatagramSocket::open_with_events(provider, Family::V4, Keeper(sender))?;
    socket.bind("127.0.0.1:0".parse().unwrap())?;
    socket.enable_receive_events()?;
    socket.send_to(b"to myself", socket.local_address()?)?;
    let kept = indications.recv().unwrap();
    assert_eq!(kept.datagrams().count(), 1);
    Ok(())
}

fn main() {
    let _ = program;
}
