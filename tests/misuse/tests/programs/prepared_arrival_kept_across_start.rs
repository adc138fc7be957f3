//! The bytes of a datagram are read while the next one is being received into them.
//! They borrow from the ended operation, and starting the receiver again takes it.

use std::net::SocketAddr;
use wsk::operation::Prepared;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?).wait()?;
    let receiving = socket
        .receive_from(NonPagedBuffer::new(64)?)
        .prepare()?
        .start()?;
    let ended = receiving.wait().map_err(|(error, _)| error)?;
    let bytes = ended.result()?.bytes();
    let next = ended.into_operation().map(Prepared::start);
    assert_eq!(bytes, b"hello");
    drop(next);
    Ok(())
}

fn main() {
    let _ = program;
}
