//! Bytes on the stack of a function that the scope calls are sent, and gone when the function returns.
//! A function that starts a send in somebody's scope has to be given bytes that live as long as the scope.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Scope};

fn greet<'scope>(
    s: &'scope Scope<'scope, '_>,
    socket: &'scope DatagramSocket,
    to: SocketAddr,
) -> Result<(), Error> {
    let greeting = *b"hello, world";
    let _in_flight = socket.send_to(&greeting, to).start_in(s)?;
    Ok(())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    wsk::scope(|s| greet(s, socket, to))?
}

fn main() {
    let _ = program;
}
