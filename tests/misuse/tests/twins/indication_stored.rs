//! The right form of `indication_stored`.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::{
    DatagramSocket, Error, Family, Indication, Provider, ReceiveFromEvent, Retained, Verdict,
};

struct Keeper(Sender<Retained>);

impl ReceiveFromEvent for Keeper {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let Some(retained) = indication.retain() else {
            return Verdict::NotAccepted;
        };
        match self.0.send(retained) {
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
