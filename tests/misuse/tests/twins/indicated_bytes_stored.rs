//! The right form of `indicated_bytes_stored`.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Queue(Sender<Vec<u8>>);

impl ReceiveFromEvent for Queue {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        for datagram in indication.datagrams() {
            for piece in datagram.pieces() {
                if self.0.send(piece.to_vec()).is_err() {
                    return Verdict::NotAccepted;
                }
            }
        }
        Verdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let (sender, pieces) = channel();
    let socket = DatagramSocket::open_with_events(provider, Family::V4, Queue(sender))?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    socket.enable_receive_events()?;
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    assert_eq!(pieces.recv().unwrap(), b"to myself");
    Ok(())
}
