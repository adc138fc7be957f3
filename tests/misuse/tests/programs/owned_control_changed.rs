//! A message is added to control information that an operation has.
//! It moves into the operation with the buffer, and comes back with it.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error, NonPagedBuffer, WithControl};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"report")?;
    let mut control = Control::<{ 2 * ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let send = socket
        .send_to(WithControl::new(buffer, control), to)
        .start()?;
    control.push(ControlMessage::TypeOfService(0x20))?;
    drop(send);
    Ok(())
}

fn main() {
    let _ = program;
}
