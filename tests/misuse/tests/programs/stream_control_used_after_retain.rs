//! Control information is read after its bytes were retained, when another thread may have released both.
//! Borrows of the indication end before it is retained.

use std::net::SocketAddr;
use wsk::events::{ConnectionEvent, StreamIndication, StreamVerdict};
use wsk::{ConnectedSocket, Error, Family, ListenSocket, Provider};

struct Counts;

impl ConnectionEvent for Counts {
    fn received(&self, indication: &mut StreamIndication<'_>) -> StreamVerdict {
        let control = indication.control();
        drop(indication.retain());
        assert_eq!(control.count(), 0);
        StreamVerdict::Consumed
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let listener = ListenSocket::open(provider, Family::V4)?;
    listener.bind(Family::V4.any())?;
    let remote = SocketAddr::from(([127, 0, 0, 1], listener.local_address()?.port()));
    let socket = ConnectedSocket::connect(provider, remote)
        .with_events(Counts)
        .wait()?;
    socket.indicate_control(true).wait()?;
    socket.enable_events()?;
    let (peer, _) = listener.accept().wait()?;
    peer.send(b"hello").wait()?;
    Ok(())
}

fn main() {
    let _ = program;
}
