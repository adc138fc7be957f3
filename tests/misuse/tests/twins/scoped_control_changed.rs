//! The right form of `scoped_control_changed`.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error, WithControl};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let mut control = Control::<{ ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let mut message = WithControl::new(*b"three hops", control);
    let sent = wsk::scope(|s| {
        let send = socket.send_to(&message, to).start_in(s)?;
        send.wait()
    })?;
    // Not every transport carries it.
    assert!(matches!(sent, Ok((10, _)) | Err(Error::Call { .. })));
    message.control.clear();
    assert!(message.control.messages().next().is_none());
    Ok(())
}
