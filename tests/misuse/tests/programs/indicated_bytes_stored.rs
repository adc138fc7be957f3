//! A handler stores slices of a datagram. Their memory belongs to WSK again when the callback has returned.
//! The slices borrow from the indication, which is lent for the callback.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

struct Queue(Sender<&'static [u8]>);

impl ReceiveFromEvent for Queue {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        for datagram in indication.datagrams() {
            for piece in datagram.pieces() {
                if self.0.send(piece).is_err() {
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

fn main() {
    let _ = program;
}
