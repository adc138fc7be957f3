//! The right form of `prepared_arrival_kept`.

use std::net::SocketAddr;
use wsk::{DatagramSocket, Error, NonPagedBuffer};

pub(crate) fn program(socket: &DatagramSocket, _: SocketAddr) -> Result<(), Error> {
    let mut receiver = socket.receive_from(NonPagedBuffer::new(64)?).prepare()?;
    let myself = socket.local_address()?;
    socket.send_to(b"one", myself).wait()?;
    socket.send_to(b"three", myself).wait()?;
    let first = receiver.wait()?.length();
    let second = receiver.wait()?.length();
    assert_eq!(first + second, 8);
    Ok(())
}
