//! The right form of `prepared_arrival_kept_across_start`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer, Receiver};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    socket.send_to(b"hello", socket.local_address()?)?;
    let receiving = socket.receiver(NonPagedBuffer::new(64)?)?.start()?;
    let ended = receiving.wait().map_err(|(error, _)| error)?;
    let bytes = ended.arrival()?.bytes();
    assert_eq!(bytes, b"hello");
    let next = ended.into_operation().map(Receiver::start);
    drop(next);
    Ok(())
}
