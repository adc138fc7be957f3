//! The right form of `scoped_control_dropped`.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error, NonPagedBuffer, WithControl};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"three hops")?;
    let mut control = Control::<{ ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let message = WithControl::new(&buffer, control);
    wsk::scope(|s| {
        let _in_flight = socket.send_to(&message, to).start_in(s)?;
        Ok(())
    })?
}
