//! The bytes of a datagram are read while the next one is being received into them.
//! They borrow from the end of the operation, which has to be given up for the receiver to be started.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Receiver};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?)?;
    let receiving = socket.receiver(NonPagedBuffer::new(64)?)?.start()?;
    let ended = receiving.wait().map_err(|(error, _)| error)?;
    let bytes = ended.arrival()?.bytes();
    let next = ended.into_operation().map(Receiver::start);
    assert_eq!(bytes, b"hello");
    drop(next);
    Ok(())
}

fn main() {
    let _ = program;
}
