//! A received control message is used after its buffer was used again.
//! Messages borrow from the control information.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut control = Control::<{ ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let mut messages = control.messages();
    control.clear();
    assert_eq!(messages.next(), Some(ControlMessage::TimeToLive(3)));
    Ok(())
}

fn main() {
    let _ = program;
}
