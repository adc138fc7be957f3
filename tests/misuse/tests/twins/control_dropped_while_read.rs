//! The right form of `control_dropped_while_read`.

use std::net::SocketAddr;
use wsk::{Control, ControlMessage, DatagramSocket, Error};

pub(crate) fn program(_: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut control = Control::<{ ControlMessage::space(4) }>::new();
    control.push(ControlMessage::TimeToLive(3))?;
    let mut messages = control.messages();
    assert_eq!(messages.next(), Some(ControlMessage::TimeToLive(3)));
    control.clear();
    Ok(())
}
