//! The right form of `prepared_arrival_kept_across_start`.

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
    assert_eq!(bytes, b"hello");
    let next = ended.into_operation().map(Prepared::start);
    drop(next);
    Ok(())
}
