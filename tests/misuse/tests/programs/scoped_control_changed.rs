//! The control information of a datagram is changed while the datagram is being sent.
//! It is borrowed together with the buffer that it travels with, until the scope has ended.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error, WithControl};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut control = Control::<{ ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let mut message = WithControl::new(*b"three hops", control);
    let sent = wsk::scope(|s| {
        let send = socket.send_to(&message, to).start_in(s)?;
        message.control.clear();
        send.wait()
    })?;
    // Not every transport carries it.
    assert!(matches!(sent, Ok((10, _)) | Err(Error::Call { .. })));
    assert!(message.control.messages().next().is_none());
    Ok(())
}

fn main() {
    let _ = program;
}
