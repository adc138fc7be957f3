//! The right form of `scoped_receive_into_what_is_sent`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let buffer = NonPagedBuffer::copy_of(b"ping")?;
    let mut answer = NonPagedBuffer::new(4)?;
    let here = socket.local_address()?;
    wsk::scope(|s| {
        let send = socket.send_to(&buffer, here).start_in(s)?;
        let receive = socket.receive_from(&mut answer).start_in(s)?;
        send.wait()?;
        receive.wait()?;
        Ok(())
    })?
}
