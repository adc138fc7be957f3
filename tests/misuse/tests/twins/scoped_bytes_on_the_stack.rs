//! The right form of `scoped_bytes_on_the_stack`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, Scope};

fn greet<'scope>(
    s: &'scope Scope<'scope, '_>,
    socket: &'scope DatagramSocket,
    greeting: &'scope [u8; 12],
    to: SocketAddr,
) -> Result<(), Error> {
    let _in_flight = socket.send_to(greeting, to).start_in(s)?;
    Ok(())
}

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let greeting = *b"hello, world";
    wsk::scope(|s| greet(s, socket, &greeting, to))?
}
