//! A datagram is received into the buffer of a send in flight.
//! Receiving needs an exclusive borrow, and the scope has borrowed the buffer shared.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut buffer = NonPagedBuffer::copy_of(b"ping")?;
    let here = socket.local_address()?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, here).start_in(s)?;
        let receive = socket.receive_from(&mut buffer).start_in(s)?;
        send.wait()?;
        receive.wait()?;
        Ok(())
    })?
}

fn main() {
    let _ = program;
}
