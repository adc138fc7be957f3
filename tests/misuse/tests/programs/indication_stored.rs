//! A handler leaves the indication to later work. By then it belongs to WSK again.
//! The indication is lent for the callback. `retain` gives a value that the handler may keep.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use wsk::events::{Indication, ReceiveFromEvent, Verdict};
use wsk::{DatagramSocket, Error, Family, Provider};

/// Something to do when there is time.
type Work = Box<dyn FnOnce() -> usize + Send>;

struct Deferred(Mutex<Sender<Work>>);

impl ReceiveFromEvent for Deferred {
    fn received(&self, indication: &mut Indication<'_>) -> Verdict {
        let work = Box::new(move || indication.datagrams().count());
        match self.0.lock().unwrap().send(work) {
            Ok(()) => Verdict::Consumed,
            Err(_) => Verdict::NotAccepted,
        }
    }
}

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let (sender, work) = channel::<Work>();
    let handler = Deferred(Mutex::new(sender));
    let socket = DatagramSocket::open_with_events(provider, Family::V4, handler)?;
    socket.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
    socket.enable_receive_events()?;
    socket
        .send_to(b"to myself", socket.local_address()?)
        .wait()?;
    assert_eq!(work.recv().unwrap()(), 1);
    Ok(())
}

fn main() {
    let _ = program;
}
