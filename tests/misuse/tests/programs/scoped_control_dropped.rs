//! Control information is dropped before the datagram that it travels with has been sent.
//! A buffer is sent with its control information as one value, which has to live as long as the scope.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error, NonPagedBuffer, WithControl};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"three hops")?;
    wsk::scope(|s| {
        let mut control = Control::<{ ControlMessage::space(4) }>::new();
        control.push(ControlMessage::TimeToLive(3))?;
        let message = WithControl::new(&buffer, control);
        let _in_flight = socket.send_to(&message, to).start_in(s)?;
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
